import { describe, expect, it } from 'vitest';

import { splitBody } from '../../src/sip/multipart.ts';

const SDP = 'v=0\r\nm=audio 4000 RTP/AVP 0\r\n';
const XML = '<recording/>';

function types(contentType: string, body: string): string[] {
  return splitBody(contentType, body).map((part) => part.contentType);
}

describe('splitBody', () => {
  it('takes a body that is not multipart as one part', () => {
    expect(splitBody('application/sdp', SDP)).toEqual([
      { contentType: 'application/sdp', contentDisposition: undefined, content: SDP },
    ]);
  });

  it('yields no part for an empty body', () => {
    expect(splitBody('application/sdp', '  ')).toEqual([]);
  });

  const dialects: Record<string, [contentType: string, body: string]> = {
    'as RFC 2046 writes it': [
      'multipart/mixed;boundary=XYZ',
      `--XYZ\r\nContent-Type: application/sdp\r\n\r\n${SDP}\r\n--XYZ\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n${XML}\r\n--XYZ--\r\n`,
    ],
    'with a quoted boundary and blanks': [
      'Multipart/Mixed ; boundary = "unique-boundary-1"',
      `--unique-boundary-1\r\nContent-Type: application/sdp\r\n\r\n${SDP}\r\n--unique-boundary-1\r\nContent-Type: application/rs-metadata+xml\r\n\r\n${XML}\r\n--unique-boundary-1-- `,
    ],
    'without the closing boundary': [
      'multipart/mixed;boundary=b',
      `--b\r\nContent-Type: application/sdp\r\n\r\n${SDP}--b\r\nContent-Type:application/rs-metadata+xml\r\n\r\n${XML}`,
    ],
    'with bare line feeds': [
      'multipart/mixed;boundary=b',
      `--b\nContent-Type: application/sdp\n\n${SDP}\n--b\nContent-Type: application/rs-metadata+xml\n\n${XML}\n--b--`,
    ],
    'with bytes behind the end': [
      'multipart/mixed;boundary=b',
      `--b\r\nContent-Type: application/sdp\r\n\r\n${SDP}\r\n--b\r\nContent-Type: application/rs-metadata+xml\r\n\r\n${XML}\r\n--b--\r\n\0\0garbage`,
    ],
    'without a line end before the boundary': [
      'multipart/mixed;boundary=sonus-content-delim',
      `--sonus-content-delim\r\nContent-Type: application/sdp\r\n\r\n${SDP}\r\n--sonus-content-delim\r\nContent-Type: application/rs-metadata+xml\r\n\r\n${XML}--sonus-content-delim--`,
    ],
    'with a blank line before the part headers, and folded ones': [
      'multipart/mixed;boundary=b',
      `--b\r\n\r\nContent-Type: application/sdp\r\nContent-Disposition: session;\r\n handling=required\r\n\r\n${SDP}\r\n--b\r\nContent-Type: application/rs-metadata+xml;\r\n charset=utf-8\r\n\r\n${XML}\r\n--b--`,
    ],
    'without part headers': ['multipart/mixed;boundary=b', `--b\r\n\r\n${SDP}\r\n--b\r\n\r\n${XML}\r\n--b--`],
    'without the blank line behind the part headers': [
      'multipart/mixed;boundary=b',
      `--b\r\nContent-Type: application/sdp\r\n${SDP}\r\n--b\r\nContent-Type: application/rs-metadata+xml\r\n${XML}\r\n--b--`,
    ],
  };
  it.each(Object.entries(dialects))('reads both parts %s', (_name, [contentType, body]) => {
    const parts = splitBody(contentType, body);
    expect(parts.map((part) => part.contentType)).toEqual(['application/sdp', 'application/rs-metadata+xml']);
    expect(parts[0]?.content).toContain('m=audio 4000');
    expect(parts[1]?.content.trim()).toBe(XML);
  });

  it('keeps the order in which the parts came', () => {
    const body = `--b\r\nContent-Type: application/rs-metadata\r\n\r\n${XML}\r\n--b\r\nContent-Type: application/sdp\r\n\r\n${SDP}\r\n--b\r\nContent-Type: application/gtd\r\n\r\nx\r\n--b--`;
    expect(types('multipart/mixed;boundary=b', body)).toEqual([
      'application/rs-metadata',
      'application/sdp',
      'application/gtd',
    ]);
  });

  it('yields nothing where the announced boundary never comes', () => {
    expect(types('multipart/mixed;boundary=b', `--c\r\nContent-Type: application/sdp\r\n\r\n${SDP}`)).toEqual(
      [],
    );
    expect(types('multipart/mixed', `--c\r\nContent-Type: application/sdp\r\n\r\n${SDP}`)).toEqual([]);
  });

  it('looks at no more than 16 parts', () => {
    const part = `--b\r\nContent-Type: text/plain\r\n\r\nx\r\n`;
    expect(types('multipart/mixed;boundary=b', part.repeat(100))).toHaveLength(16);
  });
});

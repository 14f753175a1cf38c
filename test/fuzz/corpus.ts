import { unique } from '../support/sip-peer.ts';

/** Where a message comes from, and what names its dialog. */
export interface Sender {
  readonly transport: 'UDP' | 'TCP';
  readonly hostport: string;
  readonly rtpPort: number;
}

export const SDPS = [
  ({ rtpPort }: Sender): string =>
    `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${rtpPort} RTP/AVP 8 0 101\r\n` +
    'a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=label:1\r\na=sendonly\r\na=ptime:20\r\n',
  ({ rtpPort }: Sender): string =>
    'v=0\r\no=src 29739 7272939 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n' +
    `m=audio ${rtpPort} RTP/AVP 0 19\r\nc=IN IP4 127.0.0.1\r\na=rtcp-mux\r\na=label:10\r\na=inactive\r\n` +
    `m=audio ${rtpPort} RTP/AVP 111 8\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:111 opus/48000/2\r\na=label:20\r\n` +
    'm=video 0 RTP/AVP 31\r\n',
  ({ rtpPort }: Sender): string =>
    `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${rtpPort} RTP/SAVP 8\r\n` +
    'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=FEC_SRTP\r\n' +
    'a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj\r\na=label:1\r\n',
];

const NS = 'urn:ietf:params:xml:ns:recording:1';
export const METADATA: readonly string[] = [
  `<?xml version="1.0" encoding="UTF-8"?>\r\n<recording xmlns="${NS}">\r\n<datamode>complete</datamode>\r\n` +
    '<group group_id="g1"><associate-time>2026-01-01T10:00:00Z</associate-time></group>\r\n' +
    '<session session_id="s1"><sipSessionID>a;remote=b</sipSessionID><group-ref>g1</group-ref></session>\r\n' +
    '<participant participant_id="p1"><nameID aor="sip:8001@pbx.example"><name xml:lang="zh">李娜</name></nameID></participant>\r\n' +
    '<participant participant_id="p2"><nameID aor="tel:+861055550123"/></participant>\r\n' +
    '<stream stream_id="t1" session_id="s1"><label>1</label></stream>\r\n<stream stream_id="t2" session_id="s1"><label>2</label></stream>\r\n' +
    '<participantstreamassoc participant_id="p1"><send>t1</send><recv>t2</recv></participantstreamassoc>\r\n' +
    '<participantstreamassoc participant_id="p2"><send>t2</send><recv>t1</recv></participantstreamassoc>\r\n</recording>\r\n',
  '<?xml version="1.0"?>\r\n<recording xmlns=\'urn:ietf:params:xml:ns:recording\' xmlns:apkt="http://acmepacket.com/siprec/extensiondata">\r\n' +
    '<dataMode>partial</dataMode>\r\n<session id=BYiC7uSZEGN3VQdrWI1HWw==><associate-time>1970-01-01T00:00:00</associate-time>\r\n' +
    '<extensiondata><apkt:ucid>00FA0803;encoding=hex</apkt:ucid><apkt:callerOrig>true</apkt:callerOrig></extensiondata></session>\r\n' +
    '<participant id="u1" session="s"><nameID aor="sip:a@b"><name>A</name></nameID><send>st1</send></participant>\r\n' +
    '<stream id="st1" session="s"><label>16777227</label><mode>separate</mode></stream>\r\n</recording>trailing',
  '<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>complete</dataMode>' +
    '<participant id="urn:uuid:1"><aor>sip:x@y</aor><send><id>urn:uuid:2</id></send></participant>' +
    '<stream id="urn:uuid:2"><mode>mixed</mode><label>1</label></stream></recording_metadata>',
];

export const multipart = (sdp: string, metadata: string): string =>
  `--fuzz\r\nContent-Type: application/sdp\r\n\r\n${sdp}\r\n--fuzz\r\nContent-Type: application/rs-metadata+xml\r\n` +
  `Content-Disposition: recording-session\r\n\r\n${metadata}\r\n--fuzz--\r\n`;

export interface Dialog {
  readonly callId: string;
  readonly fromTag: string;
  readonly toTag: string | undefined;
  readonly cseq: number;
}
export const newDialog = (): Dialog => ({
  callId: `fuzz-${unique()}`,
  fromTag: unique(),
  toTag: undefined,
  cseq: 1,
});

/** A request as it should be. */
export function wellFormed(
  sender: Sender,
  method: string,
  dialog: Dialog,
  {
    headers = [],
    body = '',
    type = 'application/sdp',
  }: { headers?: readonly string[]; body?: string; type?: string } = {},
): string {
  const to = dialog.toTag === undefined ? '' : `;tag=${dialog.toTag}`;
  const lines = [
    `${method} sip:recorder@example.org SIP/2.0`,
    `Via: SIP/2.0/${sender.transport} ${sender.hostport};branch=z9hG4bK-${unique()};rport`,
    'Max-Forwards: 70',
    `From: "Fuzz" <sip:fuzz@example.org>;tag=${dialog.fromTag}`,
    `To: <sip:recorder@example.org>${to}`,
    `Call-ID: ${dialog.callId}`,
    `CSeq: ${dialog.cseq} ${method}`,
    `Contact: <sip:fuzz@${sender.hostport}>`,
    ...headers,
    ...(body === '' ? [] : [`Content-Type: ${type}`]),
    `Content-Length: ${Buffer.byteLength(body, 'latin1')}`,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** What goes with each method where it is well-formed. */
export const METHODS: readonly (readonly [string, readonly string[]])[] = [
  ['OPTIONS', ['Accept: application/sdp']],
  ['INFO', ['Content-Type: application/dtmf-relay']],
  ['UPDATE', ['Session-Expires: 1800;refresher=uac', 'Supported: timer']],
  ['PRACK', ['RAck: 1 1 INVITE']],
  [
    'REGISTER',
    ['Expires: 3600', 'Authorization: Digest username="a", realm="b", nonce="c", uri="sip:d", response="e"'],
  ],
  ['MESSAGE', []],
  ['SUBSCRIBE', ['Event: presence']],
  ['NOTIFY', ['Event: refer', 'Subscription-State: active']],
  ['REFER', ['Refer-To: <sip:x@y?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>']],
  ['CANCEL', ['Reason: SIP;cause=200;text="Call completed elsewhere"']],
  ['ACK', []],
  ['BYE', ['Reason: Q.850;cause=16']],
  ['FOO', []],
];

export const INVITE_HEADERS: readonly (readonly string[])[] = [
  [],
  ['Require: siprec', 'User-to-User: 00FA0803;encoding=hex'],
  ['Supported: timer,100rel', 'Session-Expires: 1800;refresher=uas', 'Min-SE: 90'],
  ['Replaces: a;to-tag=b;from-tag=c', 'Record-Route: <sip:192.0.2.1;lr>, <sip:192.0.2.2;lr>'],
  [
    'X-Cisco-Recording-Participant: sip:8001@pbx;media-index="0"',
    'Cisco-Guid: 1-2-3-4',
    'Session-ID: a;remote=b',
  ],
  ['P-Asserted-Identity: "A" <sip:a@b>, <tel:+49123>', 'Subject: one\r\n two'],
];

/** RTP of G.711 with 20 ms, comfort noise, a telephone event; sender and receiver report, BYE, source description. */
export interface RtpState {
  readonly seq: number;
  readonly timestamp: number;
  readonly ssrc: number;
}

export const PACKETS = [
  ({ seq, timestamp, ssrc }: RtpState): Buffer => rtp(8, { seq, timestamp, ssrc }, Buffer.alloc(160, 0xd5)),
  ({ seq, timestamp, ssrc }: RtpState): Buffer => rtp(0, { seq, timestamp, ssrc }, Buffer.alloc(240, 0xff)),
  ({ seq, timestamp, ssrc }: RtpState): Buffer => rtp(13, { seq, timestamp, ssrc }, Buffer.from([0x40])),
  ({ seq, timestamp, ssrc }: RtpState): Buffer =>
    rtp(101, { seq, timestamp, ssrc }, Buffer.from([5, 0x8a, 0x03, 0x20])),
  ({ timestamp, ssrc }: RtpState): Buffer => {
    const report = Buffer.alloc(52);
    report.set([0x81, 200, 0, 12]);
    report.writeUInt32BE(ssrc, 4);
    report.writeUInt32BE(3_900_000_000, 8);
    report.writeUInt32BE(timestamp, 16);
    return report;
  },
  ({ ssrc }: RtpState): Buffer => {
    const compound = Buffer.alloc(40);
    compound.set([0x80, 201, 0, 1]);
    compound.writeUInt32BE(ssrc, 4);
    compound.set([0x81, 202, 0, 3], 8);
    compound.writeUInt32BE(ssrc, 12);
    compound.set([1, 4, 0x66, 0x75, 0x7a, 0x7a], 16);
    compound.set([0x81, 203, 0, 1], 24);
    compound.writeUInt32BE(ssrc, 28);
    return compound.subarray(0, 32);
  },
];

function rtp(
  payloadType: number,
  { seq, timestamp, ssrc }: { seq: number; timestamp: number; ssrc: number },
  payload: Buffer,
): Buffer {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header[1] = payloadType;
  header.writeUInt16BE(seq & 0xffff, 2);
  header.writeUInt32BE(timestamp >>> 0, 4);
  header.writeUInt32BE(ssrc >>> 0, 8);
  return Buffer.concat([header, payload]);
}

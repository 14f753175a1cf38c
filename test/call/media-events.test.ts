import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { CallId } from '../../src/ids.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { StoredEvent, StoredLeg } from '../../src/store/stored.ts';
import { makeCodes } from '../support/captioned-audio.ts';
import { eventsOf } from '../support/events-of.ts';
import { MediaSender, press } from '../support/media-sender.ts';
import { codes } from '../support/rtp-stream.ts';
import { type ScriptedDialog, sdp, type Signalling, startSignalling } from '../support/signalling.ts';

let line: Signalling;

afterEach(async () => {
  await line[Symbol.asyncDispose]();
});

const portOf = (dialog: ScriptedDialog): number => Number(/^m=audio (\d+)/m.exec(dialog.ok)?.[1]);

const offer = (port: number, ...more: string[]): string =>
  sdp(`m=audio ${port} RTP/AVP 0 8 101`, 'a=rtpmap:101 telephone-event/8000', ...more);

interface Told {
  readonly id: CallId;
  readonly events: readonly StoredEvent[];
  readonly legs: readonly StoredLeg[];
}

/** Hangs up, and reads what the rows tell of the call, once there are so many events. */
async function hungUp(dialog: ScriptedDialog, events = 0): Promise<Told> {
  await line.hangUp(dialog);
  const { id } = await line.row<{ id: CallId }>(
    "select id from calls where sip_call_id = $1 and state in ('complete', 'failed')",
    [dialog.call.callId],
  );
  await line.row(
    "select 1 from call_events where call_id = $1 and kind <> 'recorded' having count(*) >= $2",
    [id, events],
  );
  return { id, events: await eventsOf(line.test.pool, id), legs: await loadLegs(line.test.pool, id) };
}

const holdsOf = (events: readonly StoredEvent[]): unknown[] =>
  events
    .filter(({ kind }) => kind === 'hold' || kind === 'resume')
    .map(({ kind, detail }) => [kind, detail['cause'] ?? detail['causes']]);

const eventRow = (dialog: ScriptedDialog, kind: string): Promise<{ detail: Record<string, unknown> }> =>
  line.row(
    `select detail from call_events join calls on calls.id = call_id where sip_call_id = $1 and kind = $2`,
    [dialog.call.callId, kind],
  );

describe('media that the peer stops', () => {
  beforeEach(async () => {
    line = await startSignalling();
  });

  it.each([
    ['inactive', 'a=inactive', (port: number) => offer(port, 'a=inactive')],
    ['inactive', 'a=recvonly', (port: number) => offer(port, 'a=recvonly')],
    ['null_address', 'c=0.0.0.0', (port: number) => offer(port, 'c=IN IP4 0.0.0.0')],
    ['port_zero', 'port 0', () => offer(0)],
  ])('is a hold of cause %s by %s, on a clock that runs on', async (cause, _name, held) => {
    const sender = await MediaSender.open();
    const dialog = await line.answered({ body: offer(sender.port) });
    await sender.flow(portOf(dialog), 0, 5);
    await line.ask(dialog, 'INVITE', 2, { body: held(sender.port) });
    const answer = await line.ask(dialog, 'INVITE', 3, { body: offer(sender.port) });
    // The same leg at the same port, whatever the hold looked like.
    expect(portOf({ ...dialog, ok: answer })).toBe(portOf(dialog));
    await sender.flow(portOf(dialog), 200, 5);
    const { events, legs } = await hungUp(dialog, 4);
    expect(holdsOf(events)).toEqual([
      ['hold', cause],
      ['resume', [cause]],
    ]);
    expect(legs).toHaveLength(1);
    expect(legs[0]?.media).toMatchObject({ packetsReceived: 10, packetsForeign: 0 });
    const [hold, resume] = events.filter(({ kind }) => kind === 'hold' || kind === 'resume');
    expect(hold?.legId).toBe(legs[0]?.id);
    expect(Number(resume?.detail['atMs'])).toBeGreaterThanOrEqual(Number(hold?.detail['atMs']));
  });

  it('is one hold where one form of it follows another', async () => {
    const dialog = await line.answered({ body: offer(40_000, 'a=inactive') });
    await line.ask(dialog, 'INVITE', 2, { body: offer(0) });
    await line.ask(dialog, 'INVITE', 3, { body: offer(40_000) });
    const { events } = await hungUp(dialog, 4);
    expect(holdsOf(events)).toEqual([
      ['hold', 'inactive'],
      ['resume', ['inactive', 'port_zero']],
    ]);
  });

  it('lets nobody in at the address of a placeholder', async () => {
    const [sender, stranger] = [await MediaSender.open(), await MediaSender.open()];
    const dialog = await line.answered({ body: offer(sender.port) });
    await sender.flow(portOf(dialog), 0, 5);
    await line.ask(dialog, 'INVITE', 2, { body: offer(9, 'c=IN IP4 0.0.0.0') });
    await stranger.flow(portOf(dialog), 5_000, 5, { ssrc: 9 });
    const { legs } = await hungUp(dialog);
    expect(legs[0]?.media).toMatchObject({ packetsReceived: 5, packetsForeign: 5 });
  });
});

describe('media that stops', () => {
  beforeEach(async () => {
    line = await startSignalling({ MEDIA_SILENT_SECONDS: '1' });
  });

  it('without a word is told, with its place, and so is its end; it ends nothing', async () => {
    const sender = await MediaSender.open();
    const dialog = await line.answered({ body: offer(sender.port) });
    await sender.flow(portOf(dialog), 0, 5);
    expect((await eventRow(dialog, 'media_silent')).detail).toEqual({ sinceMs: 100 });
    expect(await metric('callscribe_legs_silent')).toBe(1);
    await sender.flow(portOf(dialog), 300, 5);
    const { silentMs } = (await eventRow(dialog, 'media_back')).detail;
    expect(silentMs).toBeGreaterThanOrEqual(1_000);
    const { events } = await hungUp(dialog, 4);
    // A slow machine may see it fall silent once more before the BYE.
    const kinds = events.map(({ kind }) => kind);
    expect(kinds.slice(0, 4)).toEqual(['media_silent', 'hold', 'media_back', 'resume']);
    expect(events[1]?.detail).toEqual({ cause: 'no_rtp', atMs: 100 });
    const silences = kinds.filter((kind) => kind === 'media_silent').length;
    expect(await metric('callscribe_media_silences_total')).toBe(silences);
    expect(await metric('callscribe_legs_silent')).toBe(0);
  });

  it('is told also where none ever came, and not where none was announced', async () => {
    const dialog = await line.answered({ body: offer(40_000, 'm=audio 40002 RTP/AVP 0', 'a=inactive') });
    expect((await eventRow(dialog, 'media_silent')).detail).toEqual({ sinceMs: null });
    const { events, legs } = await hungUp(dialog);
    expect(events.filter(({ kind }) => kind === 'media_silent')).toMatchObject([{ legId: legs[0]?.id }]);
    expect(await metric('callscribe_legs_silent')).toBe(0);
  });
});

async function metric(name: string): Promise<number> {
  const response = await fetch(`${line.test.service.httpUrl}/metrics`);
  const text = await response.text();
  return Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'm').exec(text)?.[1]);
}

describe('keys that a caller presses', () => {
  it.each([
    ['without saying which, unless it is asked for', {}, undefined],
    ['with which, where that is asked for', { DTMF_DIGITS: 'store' }, '#'],
  ])('become one row each, %s', async (_name, env, digit) => {
    line = await startSignalling(env);
    const sender = await MediaSender.open();
    const dialog = await line.answered({ body: offer(sender.port) });
    await sender.flow(portOf(dialog), 0, 10);
    await press(sender, portOf(dialog), 10, 11);
    await sender.flow(portOf(dialog), 15, 5);
    await press(sender, portOf(dialog), 20, 16);
    const { events, legs } = await hungUp(dialog, 2);
    const times = { beginMs: 200, durationMs: 60, end: 'told' };
    expect(events).toMatchObject([
      { kind: 'dtmf', legId: legs[0]?.id },
      { kind: 'telephone_event', detail: { code: 16, ...times, beginMs: 400 } },
    ]);
    expect(events[0]?.detail).toEqual(digit === undefined ? times : { digit, ...times });
    expect(await metric('callscribe_dtmf_keys_total')).toBe(1);
    expect(legs[0]?.media).toMatchObject({ telephoneEventPackets: 10, packetsLost: 0, concealedMs: 0 });
  });
});

describe('what a re-INVITE changes', () => {
  beforeEach(async () => {
    line = await startSignalling();
  });

  it('is heard: another port, another payload type, another packet time, another source', async () => {
    const [before, after] = [await MediaSender.open(), await MediaSender.open()];
    const dialog = await line.answered({ body: offer(before.port) });
    const port = portOf(dialog);
    await before.flow(port, 0, 10);
    await line.ask(dialog, 'INVITE', 2, {
      body: sdp(
        `m=audio ${after.port} RTP/AVP 111 96`,
        'a=rtpmap:111 PCMA/8000',
        'a=rtpmap:96 telephone-event/8000',
        'a=ptime:30',
      ),
    });
    for (let i = 0; i < 10; i++) {
      await after.send(port, {
        sequenceNumber: 40_000 + i,
        timestamp: 240 * i,
        ssrc: 77,
        payloadType: 111,
        payload: codes(240 * i, 240),
      });
    }
    const payload = Uint8Array.of(3, 0x8a, 0, 160);
    await after.send(port, { sequenceNumber: 40_010, timestamp: 2_400, ssrc: 77, payloadType: 96, payload });
    await before.flow(port, 10, 10);
    const { events, legs } = await hungUp(dialog, 2);
    expect(legs[0]?.media).toMatchObject({
      packetsReceived: 21,
      packetsForeign: 10,
      packetsLost: 0,
      packetsUnknownPayloadType: 0,
      ssrcChanges: 1,
    });
    expect(events.find(({ kind }) => kind === 'dtmf')?.detail).toMatchObject({ end: 'told' });
  });
});

describe('a sentence of which packets were lost', () => {
  it('says in its row how much, and the one beside it that nothing was', async () => {
    line = await startSignalling();
    const sender = await MediaSender.open();
    const dialog = await line.answered({ body: offer(sender.port) });
    const audio = makeCodes('PCMU', 8_000, [
      { beginMs: 500, endMs: 2_500, text: 'one two' },
      { beginMs: 4_500, endMs: 6_500, text: 'three four' },
    ]);
    const lost = new Set([60, 61, 62, 100]);
    for (let i = 0; i < 400; i++) {
      if (lost.has(i)) continue;
      const payload = audio.subarray(160 * i, 160 * (i + 1));
      await sender.send(portOf(dialog), { sequenceNumber: i, timestamp: 160 * i, payload });
    }
    const { id, legs } = await hungUp(dialog);
    const sentences = await loadTranscript(line.test.pool, id);
    expect(sentences.map(({ concealedMs }) => concealedMs)).toEqual([80, 0]);
    expect(legs[0]?.media).toMatchObject({ packetsLost: 4, concealedMs: 80 });
    expect(await metric('callscribe_audio_concealed_ms_total')).toBe(80);
  });
});

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { readWav } from '../../src/audio/wav.ts';
import type { CallId } from '../../src/ids.ts';
import { RecordedLeg } from '../../src/recording/recorded-leg.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { captionsOf, PlayedLeg, samplesOf } from '../support/played-call.ts';
import { endRoots, logged, type RunningRoot, start } from '../support/root-process.ts';
import { completedCalls, startTestService, type TestService } from '../support/service.ts';
import { startSignalling } from '../support/signalling.ts';
import { invite, newCall, request, type SipPeer, tagOf, udpPeer } from '../support/sip-peer.ts';

afterEach(endRoots);

const [BEFORE, SECRET, AFTER] = ['请问卡号是多少？', '四一一一二二二二', '谢谢，收到了。'];

/** `npm run worker -- intake`, on the data directory of the test. */
async function startIntake(test: TestService): Promise<{ root: RunningRoot; peer: SipPeer }> {
  const root = start('role.ts', ['intake'], {
    DATA_DIR: test.dataDir,
    RECORDING_DIR: join(test.dataDir, 'recordings'),
    REDIS_URL: test.redisUrl,
    DTMF_DIGITS: 'store',
    SIP_LISTEN: 'udp:127.0.0.1:0',
    RTP_PORTS: '43800-43899',
  });
  const [address = ''] = ((await logged(root, 'ready')) as { sip: readonly string[] }).sip;
  const [, host = '', port] = address.split(':');
  return { root, peer: await udpPeer({ host, port: Number(port) }) };
}

async function place(peer: SipPeer, leg: PlayedLeg): Promise<string> {
  for (;;) {
    const call = newCall();
    peer.send(invite(peer, call, { body: leg.offer }));
    const answer = await peer.next(new RegExp(`^SIP/2.0 [2-6]\\d\\d(?=[^]*Call-ID: ${call.callId}\\r)`));
    peer.send(request(peer, 'ACK', call, { toTag: tagOf(answer) }));
    // Until its routes are known to the edge.
    if (answer.startsWith('SIP/2.0 503')) continue;
    leg.answered(answer);
    return call.callId;
  }
}

async function post(url: string): Promise<unknown> {
  return (await fetch(url, { method: 'POST' })).json();
}

/** Texts that the audio on disk holds, once so much of it is there. */
async function spooledCaptions(test: TestService, id: CallId, samples: number): Promise<readonly string[]> {
  for (;;) {
    const spool = await RecordedLeg.open(join(test.dataDir, 'calls', id, '0.g711'), { spoolKey: undefined });
    try {
      const { source } = spool;
      if (source.endSample >= samples) return captionsOf(samplesOf(await source.read(0, source.endSample)));
    } finally {
      await spool.close();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function filesWith(directory: string, text: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const file of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    if (file.isFile() && (await readFile(path)).includes(text)) found.push(path);
  }
  return found;
}

describe('an intake that is killed in the middle of a pause', { timeout: 90_000 }, () => {
  it('leaves nothing of the pause; the next one finishes the call, silent from there on', async () => {
    await using test = await startTestService({ queue: 'redis', redisDb: 13, roles: ['sentences', 'calls'] });
    const { http } = await logged(
      start('role.ts', ['api'], {
        DATABASE_URL: test.databaseUrl,
        DATA_DIR: test.dataDir,
        REDIS_URL: test.redisUrl,
      }),
      'ready',
    );
    const intake = await startIntake(test);
    const leg = await PlayedLeg.open(6_000, [
      { beginMs: 500, endMs: 1_600, text: BEFORE },
      { beginMs: 2_500, endMs: 4_500, text: SECRET },
    ]);
    const sipCallId = await place(intake.peer, leg);
    await leg.play(0, 100);
    await leg.play(100, 2_000, 1);
    let id: CallId | undefined;
    while (id === undefined) {
      const { rows } = await test.pool.query<{ id: CallId }>('select id from calls where sip_call_id = $1', [
        sipCallId,
      ]);
      id = rows[0]?.id;
    }
    const url = `${String(http)}/v1/calls/${id}`;
    expect(await post(`${url}/pause`)).toMatchObject({ state: 'paused', changed: true });
    await leg.play(2_000, 4_600);
    await leg.play(4_600, 6_000, 7);
    expect(await spooledCaptions(test, id, 40_000)).toEqual([BEFORE]);
    intake.root.child.kill('SIGKILL');
    await intake.root.ended;
    await intake.peer.close();
    expect(await filesWith(test.dataDir, SECRET)).toEqual([]);

    const next = await startIntake(test);
    const [call] = await completedCalls(test.pool, 1);
    expect(call).toMatchObject({ id, state: 'complete', endReason: 'recovered' });
    expect((await loadTranscript(test.pool, id)).map(({ text }) => text)).toEqual([BEFORE]);
    let events = await loadEvents(test.pool, id);
    while (!events.some(({ kind }) => kind === 'recorded')) events = await loadEvents(test.pool, id);
    expect(events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['paused', 'recovered']));
    expect(events.flatMap(({ kind, detail }) => (kind === 'dtmf' ? [detail['digit']] : []))).toEqual(['1']);

    const transcript = (await (await fetch(`${url}/transcript`)).json()) as {
      pauses: { end_at: string; legs: { begin_ms: number; end_ms: number }[] }[];
    };
    const [pause] = transcript.pauses;
    const { begin_ms: beginMs = 0, end_ms: endMs = 0 } = pause?.legs[0] ?? {};
    expect(transcript.pauses).toHaveLength(1);
    expect(beginMs).toBeGreaterThanOrEqual(1_600);
    expect(beginMs).toBeLessThanOrEqual(2_500);
    expect(endMs).toBeGreaterThanOrEqual(5_000);
    const month = join(test.dataDir, 'recordings', new Date().toISOString().slice(0, 7));
    const wav = readWav(await readFile(join(month, `${id}.wav`)));
    if (wav.kind !== 'wav') throw new Error(wav.kind);
    const side = samplesOf(Buffer.from(wav.audio.data)).filter((_, index) => index % 2 === 0);
    expect(captionsOf(side)).toEqual([BEFORE]);
    expect(side.length).toBeGreaterThanOrEqual(40_000);
    expect(side.subarray(beginMs * 8).every((sample) => sample === 0)).toBe(true);
    expect(await filesWith(test.dataDir, SECRET)).toEqual([]);
    await next.peer.close();
  });
});

describe('the role of a leg', { timeout: 60_000 }, () => {
  it('is set over the API while the call runs, and rows, figures and recording follow', async () => {
    await using line = await startSignalling();
    const { test } = line;
    const leg = await PlayedLeg.open(5_000, [
      { beginMs: 500, endMs: 1_600, text: BEFORE },
      { beginMs: 2_600, endMs: 3_700, text: AFTER },
    ]);
    const dialog = await line.answered({ body: leg.offer });
    leg.answered(dialog.ok);
    const { id } = await line.row<{ id: CallId }>('select id from calls where sip_call_id = $1', [
      dialog.call.callId,
    ]);
    const relabel = async (legNo: number): Promise<unknown> => {
      const response = await fetch(`${test.service.httpUrl}/v1/calls/${id}/legs/${legNo}`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: '{"role":"customer"}',
      });
      return { status: response.status, ...((await response.json()) as object) };
    };
    await leg.play(0, 2_400);
    await line.row('select 1 from sentences where call_id = $1', [id]);
    expect(await relabel(0)).toMatchObject({ status: 200, role: 'customer', changed: true });
    expect(await relabel(0)).toMatchObject({ status: 200, role: 'customer', changed: false });
    expect(await relabel(7)).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    await leg.play(2_400, 5_000);
    await line.hangUp(dialog);
    await line.row("select 1 from calls where id = $1 and state = 'complete'", [id]);

    const ask = async (path: string): Promise<unknown> =>
      (await fetch(`${test.service.httpUrl}/v1/calls/${id}${path}`)).json();
    expect(await ask('/transcript')).toMatchObject({
      sentences: [
        { text: BEFORE, role: 'customer', speaker: expect.stringContaining('Customer') as string },
        { text: AFTER, role: 'customer' },
      ],
    });
    expect(await ask('')).toMatchObject({
      legs: [{ role: 'customer', role_evidence: { rule: 'operator', saw: 'loopback' } }],
      figures: { agent_talk_ms: 0, other_talk_ms: 0, legs: [{ role: 'customer' }] },
    });
    const { detail } = await line.row<{ detail: { channels: unknown } }>(
      "select detail from call_events where call_id = $1 and kind = 'recorded'",
      [id],
    );
    expect(detail.channels).toEqual([{ legNo: 0, channel: 'right' }]);
  });
});

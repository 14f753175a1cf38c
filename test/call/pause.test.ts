import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { readWav } from '../../src/audio/wav.ts';
import type { CallId } from '../../src/ids.ts';
import { RecordedLeg } from '../../src/recording/recorded-leg.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { StoredEvent } from '../../src/store/stored.ts';
import type { TranscriptEvent } from '../../src/transcript/sentence.ts';
import type { MadeSentence } from '../support/captioned-audio.ts';
import { captionsOf, PlayedLeg, samplesOf } from '../support/played-call.ts';
import { endRoots, logged, start } from '../support/root-process.ts';
import { type ScriptedDialog, type Signalling, startSignalling } from '../support/signalling.ts';

let line: Signalling;

afterEach(async () => {
  await endRoots();
  await line[Symbol.asyncDispose]();
});

const [BEFORE, SECRET, AFTER] = ['请问卡号是多少？', '四一一一二二二二', '谢谢，收到了。'];

/** A call with one leg. */
class PausedCall {
  readonly partials: string[] = [];
  readonly leg: PlayedLeg;
  readonly #dialog: ScriptedDialog;
  readonly id: CallId;
  readonly #url: string;

  private constructor(leg: PlayedLeg, dialog: ScriptedDialog, id: CallId, url: string) {
    this.leg = leg;
    this.#dialog = dialog;
    this.#url = url;
    this.id = id;
    line.test.service.live.on('transcript', ({ sentence }: TranscriptEvent) => {
      this.partials.push(sentence.text);
    });
  }

  static async open(
    durationMs: number,
    sentences: readonly MadeSentence[],
    url = line.test.service.httpUrl,
  ): Promise<PausedCall> {
    const leg = await PlayedLeg.open(durationMs, sentences);
    const dialog = await line.answered({ body: leg.offer });
    leg.answered(dialog.ok);
    const { id } = await line.row<{ id: CallId }>('select id from calls where sip_call_id = $1', [
      dialog.call.callId,
    ]);
    return new PausedCall(leg, dialog, id, url);
  }

  async ask(what: 'pause' | 'resume'): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.#url}/v1/calls/${this.id}/${what}`, { method: 'POST' });
    const body = (await response.json()) as Record<string, unknown>;
    return { status: response.status, ...body };
  }

  async hangUp(): Promise<void> {
    await line.hangUp(this.#dialog);
    await line.row("select 1 from calls where id = $1 and state = 'complete'", [this.id]);
  }
}

const placeOf = (events: readonly StoredEvent[], kind: string): number => {
  const [leg] = events.find((event) => event.kind === kind)?.detail['legs'] as { atMs: number }[];
  return leg!.atMs;
};

/** What was said and pressed while a call was paused is looked for wherever something of a call is. */
describe.each(['redis', 'postgres'] as const)(
  'a pause, with the queue in %s',
  { timeout: 60_000 },
  (queue) => {
    it('leaves nothing of what is said and pressed in it, and all of the rest', async () => {
      line = await startSignalling({ DTMF_DIGITS: 'store' }, { queue, redisDb: 11 });
      const call = await PausedCall.open(9_000, [
        { beginMs: 500, endMs: 1_600, text: BEFORE },
        { beginMs: 2_500, endMs: 4_500, text: SECRET },
        { beginMs: 6_500, endMs: 7_600, text: AFTER },
      ]);
      await call.leg.play(0, 100);
      await call.leg.play(100, 2_000, 1);
      expect(await call.ask('pause')).toMatchObject({ status: 200, state: 'paused', changed: true });
      expect(await call.ask('pause')).toMatchObject({ status: 200, state: 'paused', changed: false });
      await call.leg.play(2_000, 4_600);
      await call.leg.play(4_600, 5_000, 7);
      // A key that is pressed to the end of the pause and let go behind it.
      for (let packetNo = 250; packetNo < 255; packetNo++) await call.leg.hold(8, 5_000, packetNo, false);
      const spool = await RecordedLeg.open(join(line.test.dataDir, 'calls', call.id, '0.g711'), {
        spoolKey: undefined,
      });
      expect(captionsOf(samplesOf(await spool.source.read(0, 80_000)))).toEqual([BEFORE]);
      await spool.close();
      expect(await call.ask('resume')).toMatchObject({ status: 200, state: 'running', changed: true });
      expect(await call.ask('resume')).toMatchObject({ status: 200, state: 'running', changed: false });
      for (let packetNo = 255; packetNo < 258; packetNo++) await call.leg.hold(8, 5_000, packetNo, true);
      await call.leg.play(5_160, 8_500);
      await call.leg.play(8_500, 9_000, 9);
      await call.hangUp();

      const events = await loadEvents(line.test.pool, call.id);
      const [pausedAtMs, resumedAtMs] = [placeOf(events, 'paused'), placeOf(events, 'resumed')];
      expect(pausedAtMs).toBeGreaterThanOrEqual(1_600);
      expect(pausedAtMs).toBeLessThanOrEqual(2_500);
      expect(resumedAtMs).toBeGreaterThanOrEqual(4_500);
      expect(resumedAtMs).toBeLessThanOrEqual(6_500);
      expect(events.find(({ kind }) => kind === 'paused')?.detail).toMatchObject({ by: 'loopback' });
      expect(events.flatMap(({ kind, detail }) => (kind === 'dtmf' ? [detail['digit']] : []))).toEqual([
        '1',
        '9',
      ]);

      const transcript = await loadTranscript(line.test.pool, call.id);
      expect(transcript.map(({ text, sentenceNo }) => [sentenceNo, text])).toEqual([
        [1, BEFORE],
        [2, AFTER],
      ]);
      expect(
        new Set(call.partials.filter((text) => !BEFORE.startsWith(text) && !AFTER.startsWith(text))),
      ).toEqual(new Set());
      const shown = await fetch(`${line.test.service.httpUrl}/v1/calls/${call.id}/transcript`);
      expect(await shown.json()).toMatchObject({
        pauses: [{ legs: [{ leg_no: 0, begin_ms: pausedAtMs, end_ms: resumedAtMs }] }],
      });
      const [leg] = await loadLegs(line.test.pool, call.id);
      expect(leg?.media).toMatchObject({ mutedMs: resumedAtMs - pausedAtMs, unrecognisedMs: 0 });

      const month = join(line.test.dataDir, 'recordings', new Date().toISOString().slice(0, 7));
      await line.row("select 1 from call_events where call_id = $1 and kind = 'recorded'", [call.id]);
      const wav = readWav(await readFile(join(month, `${call.id}.wav`)));
      if (wav.kind !== 'wav') throw new Error(wav.kind);
      const side = samplesOf(Buffer.from(wav.audio.data)).filter((_, index) => index % 2 === 0);
      expect(captionsOf(side)).toEqual([BEFORE, AFTER]);
      expect(side.subarray(pausedAtMs * 8, resumedAtMs * 8).every((sample) => sample === 0)).toBe(true);
      expect(side.length).toBe(9_000 * 8);
      for (const file of await readdir(line.test.dataDir, { recursive: true, withFileTypes: true })) {
        if (!file.isFile()) continue;
        expect(await readFile(join(file.parentPath, file.name), 'latin1')).not.toContain(
          Buffer.from(SECRET).toString('latin1'),
        );
      }
    });
  },
);

describe('a short pause', { timeout: 60_000 }, () => {
  it('ends the sentence that was being said', async () => {
    line = await startSignalling();
    const call = await PausedCall.open(4_500, [
      { beginMs: 500, endMs: 1_500, text: undefined },
      { beginMs: 1_500, endMs: 1_900, text: undefined },
      { beginMs: 1_900, endMs: 2_900, text: undefined },
    ]);
    await call.leg.play(0, 1_500);
    await call.ask('pause');
    await call.leg.play(1_500, 1_900);
    await call.ask('resume');
    await call.leg.play(1_900, 4_500);
    await call.hangUp();
    expect(await loadTranscript(line.test.pool, call.id)).toHaveLength(2);
  });
});

describe('a pause that is asked for', { timeout: 60_000 }, () => {
  it('in another process than the call’s is in effect when it is answered', async () => {
    line = await startSignalling(
      {},
      { queue: 'redis', redisDb: 12, roles: ['intake', 'sentences', 'calls'] },
    );
    const { test } = line;
    const api = start('role.ts', ['api'], {
      DATABASE_URL: test.databaseUrl,
      DATA_DIR: test.dataDir,
      REDIS_URL: test.redisUrl,
    });
    const { http } = await logged(api, 'ready');
    const call = await PausedCall.open(
      4_000,
      [
        { beginMs: 500, endMs: 1_500, text: BEFORE },
        { beginMs: 1_900, endMs: 3_000, text: SECRET },
      ],
      String(http),
    );
    await call.leg.play(0, 1_700);
    expect(await call.ask('pause')).toMatchObject({ status: 200, state: 'paused', changed: true });
    await call.leg.play(1_700, 4_000);
    await call.hangUp();
    expect((await loadTranscript(test.pool, call.id)).map(({ text }) => text)).toEqual([BEFORE]);
    expect(await call.ask('pause')).toMatchObject({ status: 409, code: 'CALL_NOT_RUNNING' });
  });
});

import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadLegs } from '../../src/store/load-legs.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { placeCalls, type PlannedLeg } from '../support/place-calls.ts';
import { endRoots, start } from '../support/root-process.ts';
import { sampleSlices } from '../support/sample-slices.ts';
import { completedCalls, startTestService } from '../support/service.ts';

afterEach(endRoots);

async function twoLegs(): Promise<{ texts: string[]; legs: PlannedLeg[] }> {
  const parties = [await sampleSlices('agent'), await sampleSlices('customer')];
  const slices = parties.map((own) => own.reduce((a, b) => (b.codes.length < a.codes.length ? b : a)));
  return {
    texts: slices.map(({ sentence }) => sentence.text),
    legs: slices.map(({ codec, codes }, legNo) => ({
      codec,
      codesBase64: Buffer.from(codes).toString('base64'),
      label: String(legNo + 1),
    })),
  };
}

/** A recogniser that answers when `answers` says so. */
function openSandbox(answers: () => boolean): Promise<Sandbox> {
  return startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
    refuse: () =>
      answers() ? undefined : { status: 403, code: 'Arrearage', message: 'not in good standing' },
  });
}

describe('a call whose recogniser refused for good', { timeout: 90_000 }, () => {
  it.each([['keep'], ['none']])(
    'is recognised later by one command, to every sentence, and then is complete (RECORDING=%s)',
    async (recording) => {
      let paid = false;
      await using sandbox = await openSandbox(() => paid);
      await using test = await startTestService({
        queue: 'postgres',
        env: { DASHSCOPE_WS_URL: sandbox.url, DASHSCOPE_API_KEY: 'any', RECORDING: recording },
      });
      const { texts, legs } = await twoLegs();
      await placeCalls({
        target: test.target('udp'),
        transport: 'udp',
        calls: [{ mode: 'siprec', seed: 1, legs }],
      });
      const [failed] = await completedCalls(test.pool, 1);
      expect(failed?.state).toBe('failed');
      const kept = join(test.dataDir, 'unrecognised', failed!.id);
      while (!existsSync(join(kept, 'call.json'))) await new Promise((resolve) => setTimeout(resolve, 20));

      const env = {
        DATABASE_URL: test.databaseUrl,
        DATA_DIR: test.dataDir,
        DASHSCOPE_WS_URL: sandbox.url,
        DASHSCOPE_API_KEY: 'any',
      };
      const inVain = start('recognise.ts', ['all'], env);
      expect(await inVain.ended).toBe(1);
      expect(inVain.output.stdout).toContain('1 of 1 calls are not done');

      paid = true;
      const listed = start('recognise.ts', ['--list'], env);
      await listed.ended;
      expect(listed.output.stdout).toContain(failed!.id);
      const command = start('recognise.ts', [failed!.id], env);
      expect({ code: await command.ended, ...command.output }).toMatchObject({
        code: 0,
        stdout: `${failed!.id}: 2 sentences\n`,
      });

      for (;;) {
        const [call] = await completedCalls(test.pool, 1);
        if (call?.state === 'complete') break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const transcript = await loadTranscript(test.pool, failed!.id);
      expect(transcript.map(({ text }) => text).sort()).toEqual([...texts].sort());
      expect(transcript.map(({ sentenceNo }) => sentenceNo)).toEqual([1, 1]);
      const stored = await loadLegs(test.pool, failed!.id);
      expect(stored.map(({ media }) => media?.['unrecognisedMs'])).toEqual([0, 0]);
      const events = await loadEvents(test.pool, failed!.id);
      expect(events.filter(({ kind }) => kind === 'asr_recognised_later').length).toBeGreaterThanOrEqual(2);
      expect(await readdir(join(test.dataDir, 'unrecognised'))).toEqual([]);
    },
  );
});

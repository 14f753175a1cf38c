import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, it, vi } from 'vitest';

import { readWav } from '../../src/audio/wav.ts';
import { CaptionReader } from '../../src/caption/reader.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { StoredCall } from '../../src/store/stored.ts';
import { placeCalls } from '../support/place-calls.ts';
import { sampleSlices } from '../support/sample-slices.ts';
import { completedCalls, startTestService, type TestService } from '../support/service.ts';

/** A SIPREC call of two sentences, the customer's line first; resolves when all that is left of it are its results. */
async function placeCall(test: TestService): Promise<{ call: StoredCall; agent: string; customer: string }> {
  const [customer, agent] = [(await sampleSlices('customer'))[0]!, (await sampleSlices('agent'))[0]!];
  await placeCalls({
    target: test.target('udp'),
    transport: 'udp',
    calls: [
      {
        mode: 'siprec',
        seed: 1,
        legs: [customer, agent].map(({ sentence: { party }, codec, codes }, legNo) => ({
          codec,
          codesBase64: Buffer.from(codes).toString('base64'),
          label: String(legNo + 1),
          party: { name: party, aor: `sip:${party}@pbx.example`, role: party },
        })),
      },
    ],
  });
  const [call] = await completedCalls(test.pool, 1);
  await vi.waitFor(
    async () => {
      expect(await readdir(join(test.dataDir, 'calls'))).not.toContain(call!.id);
    },
    { timeout: 20_000 },
  );
  return { call: call!, agent: agent.sentence.text, customer: customer.sentence.text };
}

/** The captions that one side of a recording holds: they are there only if every sample is. */
function captionsOf(samples: Int16Array): string[] {
  const reader = new CaptionReader();
  return [...reader.feed(samples), ...reader.finish()].flatMap((event) =>
    event.kind === 'caption' ? [event.caption.text] : [],
  );
}

it(
  'keeps a call as one WAV file with the agent left and the customer right',
  { timeout: 60_000 },
  async () => {
    await using test = await startTestService({ queue: 'postgres' });
    const { call, agent, customer } = await placeCall(test);
    const file = `${call.startedAt!.toISOString().slice(0, 7)}/${call.id}.wav`;
    const reading = readWav(await readFile(join(test.dataDir, 'recordings', file)));
    if (reading.kind !== 'wav') throw new Error(reading.kind);
    const { data } = reading.audio;
    const samples = new Int16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
    expect(captionsOf(samples.filter((_, i) => i % 2 === 0))).toEqual([agent]);
    expect(captionsOf(samples.filter((_, i) => i % 2 === 1))).toEqual([customer]);
    const recorded = await vi.waitFor(async () => {
      const event = (await loadEvents(test.pool, call.id)).find(({ kind }) => kind === 'recorded');
      expect(event).toBeDefined();
      return event!;
    });
    expect(recorded.detail).toMatchObject({
      file,
      missingMs: 0,
      durationMs: samples.length / 2 / 8,
      channels: [
        { legNo: 0, channel: 'right' },
        { legNo: 1, channel: 'left' },
      ],
    });
  },
);

it.each(['none', 'memory'])(
  'keeps nothing of a call’s audio where RECORDING is %s, and its words all the same',
  { timeout: 60_000 },
  async (policy) => {
    await using test = await startTestService({ queue: 'postgres', env: { RECORDING: policy } });
    const { call, agent, customer } = await placeCall(test);
    const texts = (await loadTranscript(test.pool, call.id)).map(({ text }) => text);
    expect(texts.sort()).toEqual([agent, customer].sort());
    const files = await readdir(test.dataDir, { recursive: true });
    expect(files.filter((file) => /\.(wav|g711|part)$/.test(file))).toEqual([]);
  },
);

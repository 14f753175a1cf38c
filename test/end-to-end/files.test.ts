import { afterAll, beforeAll, expect, it } from 'vitest';

import { decodeG711 } from '../../src/audio/g711.ts';
import { type CallId, toCallId } from '../../src/ids.ts';
import { loadFigures } from '../../src/store/load-figures.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import { placeCalls } from '../support/place-calls.ts';
import { type SampleSlice, sampleSlices } from '../support/sample-slices.ts';
import { completedCalls, startTestService, type TestService } from '../support/service.ts';
import { stereoWav } from '../support/stereo-sample.ts';

let test: TestService;
beforeAll(async () => {
  test = await startTestService({ queue: 'postgres' });
}, 60_000);
afterAll(async () => {
  await test[Symbol.asyncDispose]();
}, 60_000);

interface Answer {
  readonly id: string;
  readonly state: string;
  readonly progress: number;
}

const urlOf = (path: string): string => `${test.service.httpUrl}/v1/transcriptions${path}`;

/** How far it was whenever it was asked, until it was complete. */
async function progressOf(id: string): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (;;) {
    const answer = (await (await fetch(urlOf(`/${id}`))).json()) as Answer;
    answers.push(answer);
    if (answer.state === 'complete' || answer.state === 'failed') return answers;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const said = async (callId: CallId): Promise<unknown> =>
  (await loadTranscript(test.pool, callId)).map(({ legNo, text, beginMs, endMs }) => [
    legNo,
    text,
    beginMs,
    endMs,
  ]);

/** Several sentences of one party, one after the other. */
function joined(slices: readonly SampleSlice[]): Pick<SampleSlice, 'codec' | 'codes'> {
  const codes = Buffer.concat(slices.map((slice) => slice.codes));
  return { codec: slices[0]!.codec, codes };
}

it(
  'a file has the sentences and figures of the call that carried its audio',
  { timeout: 120_000 },
  async () => {
    const parties = [
      joined((await sampleSlices('agent')).slice(0, 3)),
      joined((await sampleSlices('customer')).slice(0, 2)),
    ];
    const legs = parties.map(({ codec, codes }, legNo) => ({
      codec,
      codesBase64: Buffer.from(codes).toString('base64'),
      label: String(legNo + 1),
    }));
    await placeCalls({
      target: test.target('udp'),
      transport: 'udp',
      calls: [{ mode: 'siprec', seed: 1, legs }],
    });
    const [call] = await completedCalls(test.pool, 1);
    const callId = call!.id;

    const [left, right] = parties.map(({ codec, codes }) => decodeG711(codec, codes));
    const form = new FormData();
    form.set('file', new Blob([Buffer.from(stereoWav(left!, right!))]), 'call.wav');
    const taken = (await (await fetch(urlOf(''), { method: 'POST', body: form })).json()) as Answer;
    const answers = await progressOf(taken.id);
    expect(answers.at(-1)).toMatchObject({ state: 'complete', progress: 1 });
    expect(answers.some(({ state, progress }) => state === 'running' && progress > 0 && progress < 1)).toBe(
      true,
    );

    const fileId = toCallId(taken.id);
    expect(await said(fileId)).toEqual(await said(callId));
    const ofCall = await loadFigures(test.pool, callId);
    const ofFile = await loadFigures(test.pool, fileId);
    expect(ofFile?.sentences).toBe(5);
    for (const name of ['sentences', 'words', 'characters', 'longestMonologueMs'] as const) {
      expect([name, ofFile?.[name]]).toEqual([name, ofCall?.[name]]);
    }
    expect(ofFile?.legs.map(({ talkMs }) => talkMs)).toEqual(ofCall?.legs.map(({ talkMs }) => talkMs));
    // The longer leg's audio, not the time that recognising took.
    const audioMs = Math.max(left!.length, right!.length) / 8;
    expect(ofFile).toMatchObject({ spanMs: audioMs, heardMs: 2 * audioMs });
  },
);

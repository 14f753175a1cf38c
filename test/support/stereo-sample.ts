import { readFile } from 'node:fs/promises';

import { decodeG711 } from '../../src/audio/g711.ts';
import { readAudioFile } from '../../src/caller/audio-file.ts';
import { waveHeader } from '../../src/recording/wave-header.ts';
import { samplePaths } from '../../src/sample/sample.ts';

/** Two legs side by side, as a WAV file of 16-bit PCM; captions survive it. The shorter one ends in silence. */
export function stereoWav(left: Int16Array, right: Int16Array): Buffer {
  const frames = Math.max(left.length, right.length);
  const pcm = Buffer.alloc(frames * 4);
  for (let no = 0; no < frames; no += 1) {
    pcm.writeInt16LE(left[no] ?? 0, no * 4);
    pcm.writeInt16LE(right[no] ?? 0, no * 4 + 2);
  }
  return Buffer.concat([waveHeader({ channels: 2, samples: frames }), pcm]);
}

/** The whole sample call: agent left, customer right. */
export const stereoSample = async (): Promise<Buffer> =>
  stereoWav(await samplesOf(samplePaths.agent), await samplesOf(samplePaths.customer));

async function samplesOf(path: string): Promise<Int16Array> {
  const [audio] = readAudioFile(path, await readFile(path));
  if (audio?.kind !== 'g711') throw new Error('the sample recordings are G.711');
  return decodeG711(audio.codec, audio.codes);
}

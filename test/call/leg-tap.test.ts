import { expect, it } from 'vitest';

import { LegTap } from '../../src/call/leg-tap.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import { BLOCK_BYTES } from '../../src/recording/block-builder.ts';
import { LegRecorder } from '../../src/recording/leg-recorder.ts';
import { audio, heard, listen, loss, silence, tell } from '../recording/leg-media.ts';

it('gives a leg’s recording what its recogniser gets, and both nothing but silence while it is muted', async () => {
  const callId = newCallId();
  const recorder = new LegRecorder({
    callId,
    legId: newLegId(callId),
    legNo: 0,
    path: 'never-written',
    policy: 'keep',
    seal: undefined,
    salt: undefined,
    takeRoom: () => Buffer.alloc(BLOCK_BYTES),
    giveRoom: () => undefined,
  });
  recorder.start(new Date());
  const live = listen();
  const tap = new LegTap(recorder, live.sink);
  const before = [audio(160), loss(160), audio(160)];
  tell(before, [tap]);
  tap.mute('pause');
  tap.mute('gate');
  tap.mute('gate');
  tell([audio(160), loss(80)], [tap]);
  tap.unmute('gate');
  tap.unmute('gate');
  expect([tap.isMuted, tap.isMutedBy('gate')]).toEqual([true, false]);
  tell([audio(80)], [tap]);
  tap.unmute('pause');
  tell([audio(160)], [tap]);
  tap.end();

  const pcm = live.pcm();
  const source = recorder.openSource();
  expect(await source.read(0, 8_000)).toEqual(pcm);
  expect(pcm.subarray(0, 960)).toEqual(heard([...before, silence(320)]).subarray(0, 960));
  expect(pcm.subarray(960, 1_600)).toEqual(Buffer.alloc(640));
  expect(pcm.subarray(1_600)).toEqual(heard([audio(160)]));
});

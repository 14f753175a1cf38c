import { join } from 'node:path';

import { MemoryAudio } from '../../src/asr/memory-audio.ts';
import type { CallEvent, CallRecord } from '../../src/call/record.ts';
import { newCallId } from '../../src/ids.ts';
import { saveRecording } from '../../src/recording/save-recording.ts';
import type { Channel } from '../../src/recording/stereo-mix.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import type { Pool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import { aCall, aSentence, finishing } from './facts.ts';

/** A complete call of a tenant: two legs with two sentences each, figures computed. */
export async function storeCompleteCall(pool: Pool, over: Partial<CallRecord> = {}): Promise<CallRecord> {
  const call = aCall({ id: newCallId(), ...over });
  await saveCall(pool, call);
  for (const [index, leg] of call.legs.entries()) {
    for (const sentenceNo of [1, 2]) {
      const text = `${leg.role} says ${sentenceNo}`;
      await saveSentence(pool, {
        ...aSentence({ callId: call.id, legId: leg.id, legNo: leg.legNo, sentenceNo, text }),
        tenant: call.tenant,
        // The second leg's clock began a second later.
        beginAt: new Date(call.startedAt.getTime() + index * 1_000 + (sentenceNo - 1) * 2_000),
        endAt: new Date(call.startedAt.getTime() + index * 1_000 + (sentenceNo - 1) * 2_000 + 1_500),
      });
    }
  }
  const ended = finishing(call, [2, 2]);
  await saveCall(pool, ended);
  await completeCall(pool, call.id);
  return ended;
}

/** Writes the call's recording, one second of a rising tone on each leg. @returns the path of its file */
export async function storeRecording(recordingDir: string, call: CallRecord): Promise<string> {
  const legs = call.legs.map(({ legNo, role }) => {
    const source = new MemoryAudio(8_000);
    source.append(Buffer.from(Int16Array.from({ length: 8_000 }, (_, index) => index).buffer));
    return { legNo, role, startedAt: call.startedAt, source };
  });
  const saved = await saveRecording({ recordingDir, callId: call.id, startedAt: call.startedAt, legs });
  if (saved === undefined) throw new Error('a call with audio has a recording');
  return join(recordingDir, saved.file);
}

/** What is told of the recording that {@link storeRecording} writes: the first leg left, the second right. */
export function recordedEvent(call: CallRecord, channels: readonly Channel[] = ['left', 'right']): CallEvent {
  const detail = {
    beginAt: call.startedAt,
    channels: channels.map((channel, index) => ({ legNo: call.legs[index]?.legNo, channel })),
  };
  return { callId: call.id, legId: undefined, eventNo: 1_000, at: call.startedAt, kind: 'recorded', detail };
}

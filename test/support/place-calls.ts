import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { CallMode, CallReport } from '../../src/caller/call-report.ts';
import type { PlaceCallOptions } from '../../src/caller/caller.ts';
import type { Party } from '../../src/caller/leg-source.ts';

export interface CallsPlan {
  readonly target: string;
  readonly transport: 'udp' | 'tcp';
  readonly impairments?: {
    readonly lossRate: number;
    readonly reorderRate: number;
    readonly duplicateRate: number;
  };
  /** All begin at once. */
  readonly calls: readonly {
    readonly mode: CallMode;
    readonly seed: number;
    readonly headers?: readonly string[];
    readonly srtp?: PlaceCallOptions['srtp'];
    readonly firstSequenceNumber?: number;
    readonly legs: readonly PlannedLeg[];
  }[];
}

export interface PlannedLeg {
  readonly codec: 'PCMA' | 'PCMU';
  readonly codesBase64: string;
  readonly label: string;
  readonly party?: Party;
}

export interface PlacedCall {
  readonly report: CallReport;
  /** By leg: the packets of 20 ms that the plan left out. */
  readonly lostPackets: readonly (readonly number[])[];
}

export interface PlacedCalls {
  readonly calls: readonly PlacedCall[];
  readonly worstLateMs: number;
}

/** Places calls from another process and waits for their end. */
export async function placeCalls(plan: CallsPlan): Promise<PlacedCalls> {
  const script = fileURLToPath(new URL('./place-calls-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(plan));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the calling process ended with ${code ?? 'a signal'}`);
  return JSON.parse(output) as PlacedCalls;
}

/**
 * Places calls as a JSON plan on standard input says, from a process of its own (node-rtp, which builds the
 * packets, adds to Number.prototype), and prints one JSON object: the reports, and which packets the plan left out.
 */
import process from 'node:process';

import { planCall } from '../../src/caller/call-plan.ts';
import { openCaller } from '../../src/caller/caller.ts';
import type { LegSource } from '../../src/caller/leg-source.ts';
import { readSipTarget } from '../../src/caller/sip-target.ts';
import type { CallsPlan, PlacedCall, PlacedCalls } from './place-calls.ts';

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
const plan = JSON.parse(Buffer.concat(chunks).toString('utf8')) as CallsPlan;

const target = readSipTarget(plan.target);
if (target === undefined) throw new Error('the plan names no SIP target');
await using caller = await openCaller({ target, transport: plan.transport });
const impairments = { lossRate: 0, reorderRate: 0, duplicateRate: 0, ...plan.impairments };
const calls = await Promise.all(
  plan.calls.map(async ({ mode, seed, legs, headers, ...options }): Promise<PlacedCall> => {
    const [first, ...rest] = legs.map(({ codesBase64, ...leg }): LegSource => ({
      ...leg,
      codes: Buffer.from(codesBase64, 'base64'),
    }));
    const sources = [first!, ...rest] as const;
    const report = await caller.placeCall({
      ...options,
      mode,
      seed,
      legs: sources,
      impairments,
      headers: headers ?? [],
    });
    const plans = planCall({ legs: sources, ptimeMs: 20, impairments, seed });
    return { report, lostPackets: plans.map((leg) => [...leg.plan.lost]) };
  }),
);
const placed: PlacedCalls = { calls, worstLateMs: caller.worstLateMs };
process.stdout.write(JSON.stringify(placed));

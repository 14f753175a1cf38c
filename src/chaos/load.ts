import type { CallReport } from '../caller/call-report.ts';
import { type Caller, openCaller } from '../caller/caller.ts';
import { SAMPLE_PARTIES } from '../caller/load-legs.ts';
import type { SipTarget } from '../caller/sip-target.ts';
import type { Clock } from '../clock.ts';
import { callScript, type SpokenCall } from './script.ts';
import { legCodes } from './voice.ts';

/** How calls come in; JSON, since the process that places them is another one. */
export interface ChaosLoadOrder {
  readonly target: SipTarget;
  readonly seed: number;
  /** Number of the first call; tells what is said in it. */
  readonly firstCallNo: number;
  /** As many as make up the legs that are wanted at a time. */
  readonly callsAtATime: number;
  readonly sentencesPerLeg: number;
  /** Between the begins of the first calls, so that they do not speak in step. */
  readonly rampMs: number;
}

/** A call that was placed, and what became of it. */
export interface PlacedCall {
  readonly spoken: SpokenCall;
  readonly report: CallReport;
  /** Wall times. */
  readonly answeredAtMs: number | undefined;
  readonly endedAtMs: number;
}

export interface LoadProgress {
  /** Since the last time that it was asked. */
  readonly ended: readonly PlacedCall[];
  readonly underway: number;
  readonly worstLateMs: number;
}

/** Keeps so many calls up: whenever one ends, however it ends, the next begins. */
export class ChaosLoad {
  readonly #caller: Caller;
  readonly #order: ChaosLoadOrder;
  readonly #clock: Clock;
  readonly #lines: Promise<void>[];
  #nextCallNo: number;
  #underway = 0;
  #ended: PlacedCall[] = [];
  #isStopping = false;

  private constructor(caller: Caller, order: ChaosLoadOrder, clock: Clock) {
    this.#caller = caller;
    this.#clock = clock;
    this.#order = order;
    this.#nextCallNo = order.firstCallNo;
    this.#lines = Array.from({ length: order.callsAtATime }, (_, index) => this.#keepUp(index));
  }

  static async start(order: ChaosLoadOrder, clock: Clock): Promise<ChaosLoad> {
    return new ChaosLoad(await openCaller({ target: order.target, transport: 'udp', clock }), order, clock);
  }

  progress(): LoadProgress {
    return {
      ended: this.#ended.splice(0),
      underway: this.#underway,
      worstLateMs: Math.round(this.#caller.worstLateMs),
    };
  }

  /** No further call; those that are up go on to their end. */
  async stop(): Promise<LoadProgress> {
    this.#isStopping = true;
    await Promise.all(this.#lines);
    const last = this.progress();
    await this.#caller.close();
    return last;
  }

  async #keepUp(index: number): Promise<void> {
    await elapsed((index * this.#order.rampMs) / this.#order.callsAtATime);
    while (!this.#isStopping) {
      const spoken = callScript(this.#order.seed, this.#takeNumber(), this.#order.sentencesPerLeg);
      this.#underway += 1;
      let answeredAtMs: number | undefined;
      const report = await this.#place(spoken, () => {
        answeredAtMs = this.#clock.wallTime().getTime();
      });
      this.#underway -= 1;
      this.#ended.push({ spoken, report, answeredAtMs, endedAtMs: this.#clock.wallTime().getTime() });
      // A peer that refuses at once is not to be flooded.
      if (report.outcome.kind !== 'completed') await elapsed(RETRY_MS);
    }
  }

  #takeNumber(): number {
    return (this.#nextCallNo += 1) - 1;
  }

  #place({ callNo, durationMs, legs }: SpokenCall, onAnswered: () => void): Promise<CallReport> {
    const [first, ...rest] = legs.map((leg, legNo) => ({
      codec: leg.codec,
      codes: legCodes(leg, durationMs),
      label: String(legNo + 1),
      party: SAMPLE_PARTIES[leg.party],
    }));
    if (first === undefined) throw new RangeError('a call has legs');
    return this.#caller.placeCall({
      mode: 'siprec',
      legs: [first, ...rest],
      seed: callNo,
      onEvent: ({ kind }) => {
        if (kind === 'answered') onAnswered();
      },
    });
  }
}

const RETRY_MS = 500;

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

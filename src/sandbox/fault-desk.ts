import { type SeededRandom, seededRandom } from '../seeded-random.ts';
import { type FaultEffect, type FaultText, type FaultTextResult, parseFaultText } from './fault-text.ts';
import { type ConnectionFault, mergeTaskFaults, type RequestFault, type TaskFaults } from './faults.ts';

export interface FaultOrder {
  /** Such as `drop:result=2`. */
  readonly fault: string;
  /** How often it strikes before it is forgotten. Default: without end. */
  readonly times?: number | undefined;
  /** For `p=` and for what faults choose at random. Default: 1. */
  readonly seed?: number | undefined;
}

/** A fault that is on order, as the control endpoint shows it. */
export interface OrderedFault {
  readonly id: number;
  readonly fault: string;
  readonly timesLeft: number | 'unlimited';
  readonly struck: number;
}

export type FaultOrderResult =
  | { readonly kind: 'ordered'; readonly ordered: OrderedFault }
  | { readonly kind: 'invalid'; readonly reason: string };

interface Entry {
  readonly id: number;
  readonly fault: FaultText;
  readonly random: SeededRandom;
  timesLeft: number;
  struck: number;
}

const ENTRIES_MAX = 100;

/** Faults that were ordered, and whether they strike: decided anew each time, by the seed alone. */
export class FaultDesk {
  readonly #entries = new Map<number, Entry>();
  #lastId = 0;

  get empty(): boolean {
    return this.#entries.size === 0;
  }

  order({ fault: text, times = Infinity, seed = 1 }: FaultOrder): FaultOrderResult {
    if (this.#entries.size >= ENTRIES_MAX) {
      return { kind: 'invalid', reason: `${ENTRIES_MAX} faults are ordered already; delete some` };
    }
    const parsed: FaultTextResult = parseFaultText(text);
    if (parsed.kind === 'invalid') return parsed;
    this.#lastId += 1;
    const entry: Entry = {
      id: this.#lastId,
      fault: parsed.fault,
      random: seededRandom(seed),
      timesLeft: times,
      struck: 0,
    };
    this.#entries.set(entry.id, entry);
    return { kind: 'ordered', ordered: show(entry) };
  }

  list(): readonly OrderedFault[] {
    return [...this.#entries.values()].map(show);
  }

  /** @returns whether it was there */
  cancel(id: number): boolean {
    return this.#entries.delete(id);
  }

  cancelAll(): void {
    this.#entries.clear();
  }

  /** For one upgrade: the first that strikes. */
  forConnection(): ConnectionFault | undefined {
    return this.#strike('connection', () => true)[0]?.effect.fault;
  }

  /** For one REST request: the first that strikes. @param request such as `POST /api/v1/tokens` */
  forRequest(request: string): RequestFault | undefined {
    return this.#strike('request', ({ part }) => request.includes(part))[0]?.effect.fault;
  }

  /** For one task: all that strike. */
  forTask(): TaskFaults {
    return mergeTaskFaults(
      this.#strike('task', () => true).map(({ effect, random }) => ({
        ...effect.faults,
        seed: Math.floor(random() * 0x1_0000_0000),
      })),
    );
  }

  #strike<On extends FaultEffect['on']>(
    on: On,
    concerns: (effect: Extract<FaultEffect, { on: On }>) => boolean,
  ): { readonly effect: Extract<FaultEffect, { on: On }>; readonly random: SeededRandom }[] {
    return [...this.#entries.values()].flatMap((entry) => {
      const { probability } = entry.fault;
      const effect = entry.fault.effect as Extract<FaultEffect, { on: On }>;
      if (effect.on !== on || !concerns(effect) || entry.random() >= probability) return [];
      entry.struck += 1;
      entry.timesLeft -= 1;
      if (entry.timesLeft <= 0) this.#entries.delete(entry.id);
      return [{ effect, random: entry.random }];
    });
  }
}

function show(entry: Entry): OrderedFault {
  return {
    id: entry.id,
    fault: entry.fault.text,
    timesLeft: entry.timesLeft === Infinity ? 'unlimited' : entry.timesLeft,
    struck: entry.struck,
  };
}

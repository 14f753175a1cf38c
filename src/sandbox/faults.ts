/** What the sandbox does wrong in one task. Frames count from 1; 0 means right after task-started. */
export interface TaskFaults {
  /** How late task-started comes. */
  readonly startDelayMs?: number | 'never';
  /** Instead of task-started. */
  readonly failStart?: FailureFault;
  readonly failAtFrame?: FailureFault & { readonly frame: number };
  /** Instead of the answer to finish-task. */
  readonly failFinish?: FailureFault;
  /** 1006 cuts the socket without a close frame. */
  readonly closeAtFrame?: { readonly frame: number; readonly closeCode: 1000 | 1006 | 1007 | 1011 };
  /** From this frame on nothing is read, so that the client's audio piles up. */
  readonly stopReadingAtFrame?: number;
  /** What the fields above say for one moment each, for any moment. */
  readonly timed?: readonly TimedFault[];
  /** finish-task is not answered. */
  readonly neverFinish?: boolean;
  /** task-finished with `payload: {}`. */
  readonly emptyTaskFinished?: boolean;
  /** `end-null`: finals without their end; `bare`: results with nothing but what a client must have. */
  readonly results?: 'end-null' | 'bare';
  /** Share (0 to 1) of the fields that a client can do without that is left out, by `seed`. */
  readonly missingFields?: number;
  /** Every final twice. */
  readonly doubleFinals?: boolean;
  /** An unknown event, a result of another task and a frame that is not JSON come before each result. */
  readonly noise?: boolean;
  /** How late each result comes; task-finished waits for the last. */
  readonly lateResultsMs?: number;
  /** So many results are held back and come in an order chosen by `seed`. */
  readonly shuffleResults?: number;
  /** Default: 1. */
  readonly seed?: number;
}

export interface FailureFault {
  readonly code: string;
  readonly message: string;
}

/** When in a task. Frames and results count from 1, milliseconds from run-task. */
export type FaultMoment =
  | { readonly at: 'run-task' }
  | { readonly at: 'task-started' }
  | { readonly at: 'frame'; readonly no: number }
  | { readonly at: 'result'; readonly no: number }
  | { readonly at: 'finish-task' }
  | { readonly at: 'ms'; readonly ms: number };

export type FaultAction =
  | ({ readonly kind: 'fail' } & FailureFault)
  /** `none`: cut without a close frame. */
  | { readonly kind: 'close'; readonly closeCode: number | 'none'; readonly reason: string }
  | { readonly kind: 'stop-reading'; readonly forMs: number | 'ever' };

export interface TimedFault {
  readonly moment: FaultMoment;
  readonly action: FaultAction;
}

/** Answers an upgrade, or a request, with this status. */
export interface RefusalFault {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** What goes wrong in an upgrade. */
export type ConnectionFault =
  | ({ readonly kind: 'refuse' } & RefusalFault)
  /** The answer comes late, or never. */
  | { readonly kind: 'stall'; readonly forMs: number | 'ever' }
  /** The connection ends without an answer. */
  | { readonly kind: 'cut' };

/** What goes wrong in a REST request; `lose-answer` does what was asked, then ends without an answer. */
export type RequestFault = ConnectionFault | { readonly kind: 'lose-answer' };

/** Everything that has its moment, in one form. */
export function timedFaults(faults: TaskFaults): readonly TimedFault[] {
  const atFrame = (no: number): FaultMoment => (no === 0 ? { at: 'task-started' } : { at: 'frame', no });
  const timed: TimedFault[] = [...(faults.timed ?? [])];
  const { failStart, failAtFrame, failFinish, closeAtFrame, stopReadingAtFrame } = faults;
  if (stopReadingAtFrame !== undefined) {
    timed.push({ moment: atFrame(stopReadingAtFrame), action: { kind: 'stop-reading', forMs: 'ever' } });
  }
  if (failStart !== undefined) {
    timed.push({ moment: { at: 'run-task' }, action: { kind: 'fail', ...failStart } });
  }
  if (failAtFrame !== undefined) {
    timed.push({ moment: atFrame(failAtFrame.frame), action: { kind: 'fail', ...failAtFrame } });
  }
  if (failFinish !== undefined) {
    timed.push({ moment: { at: 'finish-task' }, action: { kind: 'fail', ...failFinish } });
  }
  if (closeAtFrame !== undefined) {
    const closeCode = closeAtFrame.closeCode === 1006 ? 'none' : closeAtFrame.closeCode;
    timed.push({ moment: atFrame(closeAtFrame.frame), action: { kind: 'close', closeCode, reason: '' } });
  }
  return timed;
}

/** All of these at once; of what can hold only once, the last. */
export function mergeTaskFaults(all: readonly TaskFaults[]): TaskFaults {
  return all.reduce<TaskFaults>((merged, faults) => {
    const timed = [...(merged.timed ?? []), ...(faults.timed ?? [])];
    return { ...merged, ...faults, ...(timed.length === 0 ? {} : { timed }) };
  }, {});
}

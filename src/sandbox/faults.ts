/** What the sandbox does wrong in one task, for tests. Frames count from 1; 0 means right after task-started. */
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
  /** finish-task is not answered. */
  readonly neverFinish?: boolean;
  /** task-finished with `payload: {}`. */
  readonly emptyTaskFinished?: boolean;
  readonly results?: 'end-null' | 'bare';
  /** Every final twice. */
  readonly doubleFinals?: boolean;
  /** An unknown event, a result of another task and a frame that is not JSON come before each result. */
  readonly noise?: boolean;
}

export interface FailureFault {
  readonly code: string;
  readonly message: string;
}

/** Answers an upgrade with this status instead of 101. */
export interface RefusalFault {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

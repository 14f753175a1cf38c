import { ResultQueue } from '../dashscope/result-queue.ts';
import type { AsrEvent } from './session.ts';

/**
 * Events on their way to one reader. A partial that nobody has read yet is replaced by what comes next, so that a slow
 * reader is served the newest text and the queue grows by finals only.
 */
export class AsrEventQueue extends ResultQueue<AsrEvent> {
  /** @param onAbandoned the reader left before the end */
  constructor(onAbandoned: () => void) {
    super({
      replaces: (newer, waiting) => waiting.kind === 'partial' && newer.kind !== 'started',
      onAbandoned,
    });
  }
}

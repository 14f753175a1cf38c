import { CallscribeError } from '../errors.ts';

/** A command line that can't be run, with every fault in it. */
export class UsageError extends CallscribeError {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super('USAGE', faults.join('\n'));
    this.faults = faults;
  }
}

import type { PauseState } from '../call/call-pause.ts';
import type { CallRegistry } from '../call/registry.ts';
import type { CallId } from '../ids.ts';
import type { ControlCommand, ControlResults, PauseResult } from './commands.ts';

export interface CallControlOptions {
  readonly registry: Pick<CallRegistry, 'find'>;
  /** Begins to recognise what is kept of an ended call. @returns undefined where nothing is kept here */
  readonly recognise: (callId: CallId) => Promise<ControlResults['recognise'] | undefined>;
}

/**
 * What can be done to the calls of this process.
 *
 * @returns undefined where it is not here, or the call is not running any more
 */
export async function runCommand(
  { registry, recognise }: CallControlOptions,
  callId: CallId,
  command: ControlCommand,
): Promise<object | undefined> {
  if (command.kind === 'recognise') return recognise(callId);
  const call = registry.find(callId);
  if (call?.isRunning !== true) return undefined;
  switch (command.kind) {
    case 'pause':
      return toResult(call.pause(command.by));
    case 'resume':
      return toResult(await call.resume(command.by));
    case 'relabel':
      return call.relabel(command.legNo, command.role, command.by) satisfies ControlResults['relabel'];
  }
}

const toResult = ({ state, since, changed }: PauseState): PauseResult => ({
  state,
  since: since?.toISOString() ?? null,
  changed,
});

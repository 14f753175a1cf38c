import { connect, type ConnectionOptions } from '../dashscope/connection.ts';
import type { ConnectionPool } from '../dashscope/connection-pool.ts';
import { parametersOfWire, type RecognitionParameters } from '../dashscope/parameters.ts';
import type { SentenceResult } from '../dashscope/server-messages.ts';
import { RecognitionTask, TASK_LIMITS, type TaskLimits } from '../dashscope/task.ts';
import type { Logger } from '../log.ts';
import type { SentenceEvent } from './session.ts';
import type { AsrTask, StartAsrTask } from './task.ts';

export interface DashscopeTaskOptions extends ConnectionOptions {
  /** Default: {@link TASK_LIMITS}. */
  readonly limits?: Partial<TaskLimits> | undefined;
  /**
   * Where tasks get their connections: in place of one of its own, each takes its turn at the account's rate, and a
   * socket that is free. Belongs to whoever made it, who closes it after the last session.
   */
  readonly pool?: ConnectionPool | undefined;
  readonly logger: Logger;
}

/** Telephone speech between people: cut by voice activity, which is also what emotion needs; hold must not end it. */
const TELEPHONY: RecognitionParameters & { readonly format: 'pcm' } = {
  format: 'pcm',
  sampleRate: 8000,
  disfluencyRemovalEnabled: false,
  semanticPunctuationEnabled: false,
  maxSentenceSilence: 800,
  multiThresholdModeEnabled: true,
  punctuationPredictionEnabled: true,
  inverseTextNormalizationEnabled: true,
  heartbeat: true,
};

/** Binds tasks to DashScope, or to whatever speaks its protocol at `url`. */
export function dashscopeTasks(options: DashscopeTaskOptions): StartAsrTask {
  return ({ model, vocabularyId, phraseId, parameters = {} }, listener) => {
    const task = RecognitionTask.start({
      model,
      parameters: { ...TELEPHONY, ...parametersOfWire(parameters), vocabularyId, phraseId },
      limits: { ...TASK_LIMITS, ...options.limits },
      connect: options.pool?.connect ?? ((connection) => connect(options, connection)),
      listener: {
        onStarted: () => {
          options.logger.debug({ taskId: task.taskId }, 'recognition task started');
          listener.onStarted();
        },
        onText: () => {
          listener.onHeard();
        },
        onResult: (result) => {
          const event = toSentenceEvent(task.taskId, result);
          if (event !== undefined) listener.onSentence(event);
        },
        onEnd: (error) => {
          const facts = { taskId: task.taskId, ...task.counters };
          if (error === undefined) options.logger.debug(facts, 'recognition task finished');
          else options.logger.debug({ ...facts, err: error }, 'recognition task failed');
          listener.onEnd(error);
        },
      },
    });
    return asAsrTask(task);
  };
}

function asAsrTask(task: RecognitionTask): AsrTask {
  return {
    taskId: task.taskId,
    get malformedMessages() {
      return task.counters.ignored.malformed;
    },
    push: (pcm) => task.push(pcm),
    drained: () => task.drained(),
    finish: () => {
      void task.finish();
    },
    abort: (reason) => {
      void task.abort(reason);
    },
  };
}

/** @returns undefined for a result without text, which says only that a sentence may have begun */
function toSentenceEvent(taskId: string, result: SentenceResult): SentenceEvent | undefined {
  const { beginMs, text, words, emotion } = result;
  if (text === '') return undefined;
  if (!result.final) return { kind: 'partial', taskId, beginMs, text };
  return { kind: 'final', taskId, beginMs, endMs: result.endMs ?? beginMs, text, words, emotion };
}

import { encodeParameters, type RecognitionParameters } from './parameters.ts';

export interface RunTask {
  readonly taskId: string;
  readonly model: string;
  readonly parameters: RecognitionParameters;
}

/** The first message of a task. Model Studio, "Paraformer client events", run-task. */
export function encodeRunTask({ taskId, model, parameters }: RunTask): string {
  return JSON.stringify({
    header: { action: 'run-task', task_id: taskId, streaming: 'duplex' },
    payload: {
      task_group: 'audio',
      task: 'asr',
      function: 'recognition',
      model,
      ...encodeParameters(model, parameters),
      // Leaving it out fails the task ("task can not be null").
      input: {},
    },
  });
}

/** No audio follows. Without it the service keeps the words that its voice detection still holds. */
export function encodeFinishTask(taskId: string): string {
  return JSON.stringify({
    header: { action: 'finish-task', task_id: taskId, streaming: 'duplex' },
    payload: { input: {} },
  });
}

import { silentLogger } from '../log.ts';
import type { SandboxRecogniser } from '../sandbox/recogniser.ts';
import { startSandbox } from '../sandbox/server.ts';
import type { AsrSink } from './asr-sink.ts';
import { scriptedRecogniser } from './scripted-recogniser.ts';

/** A sandbox that answers with scripted results, and counts the audio of all its tasks. */
export async function startScriptedSink(): Promise<AsrSink> {
  let bytes = 0;
  const recogniser: SandboxRecogniser = {
    ...scriptedRecogniser,
    open: (options) => {
      const recognition = scriptedRecogniser.open(options);
      const feed = recognition.feed.bind(recognition);
      return Object.assign(recognition, {
        feed: (pcm: Buffer) => {
          bytes += pcm.length;
          return feed(pcm);
        },
      });
    },
  };
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser,
    rateLimit: 'off',
    maxConnections: 20_000,
    logger: silentLogger,
  });
  return {
    url: sandbox.url,
    totals: () => ({
      tasks: sandbox.counters.tasksStarted,
      tasksFinished: sandbox.counters.tasksFinished,
      bytes,
    }),
    close: () => sandbox.close(),
  };
}

/**
 * `npm run transcribe -- --help`: recognises recorded files. Exit codes: 0 all done, 1 some failed, 2 wrong usage
 * or configuration.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';

import { type Config, loadConfig } from '../src/config.ts';
import { CallscribeError, systemCode } from '../src/errors.ts';
import { newCallId, newLegId } from '../src/ids.ts';
import { createLogger, type Logger } from '../src/log.ts';
import { captionsRecogniser } from '../src/sandbox/captions-recogniser.ts';
import { startSandbox } from '../src/sandbox/server.ts';
import { completeCall } from '../src/store/complete-call.ts';
import { type Pool, toStoreError } from '../src/store/pool.ts';
import { saveCall } from '../src/store/save-call.ts';
import { saveSentence } from '../src/store/save-sentence.ts';
import { callOfFile } from '../src/transcribe/call-of-file.ts';
import { readTranscribeCommandLine, type TranscribeCommandOptions } from '../src/transcribe/command-line.ts';
import { faultText } from '../src/transcribe/fault-text.ts';
import { findFiles } from '../src/transcribe/find-files.ts';
import { writeTranscript } from '../src/transcribe/formats.ts';
import { withProgress } from '../src/transcribe/progress.ts';
import { transcribeFile, type TranscribeOptions } from '../src/transcribe/transcribe-file.ts';
import type { FileTranscript } from '../src/transcribe/transcript.ts';
import { CloseStack } from './close-stack.ts';
import { runRoot } from './main.ts';
import { databaseUrlOf, openStore } from './stores.ts';

const print = (text: string): void => void process.stdout.write(text);
/** Standard output is for transcripts. */
const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface Job {
  readonly options: TranscribeCommandOptions;
  readonly config: Config;
  readonly service: TranscribeOptions['service'];
  readonly pool: Pool | undefined;
  readonly signal: AbortSignal;
  /** Names in the output directory that were given to files of this run. */
  readonly taken: Set<string>;
}

async function run(paths: readonly string[], options: TranscribeCommandOptions): Promise<boolean> {
  const config = loadConfig(process.env);
  const logger = createLogger({
    level: process.env['LOG_LEVEL'] ?? 'error',
    format: process.stderr.isTTY ? 'pretty' : 'json',
  });
  const stopping = new AbortController();
  const stop = (why: string) => (): void => {
    stopping.abort(new Error(why));
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, stop(name));
  // Whoever read the transcripts, such as `head`, has enough.
  process.stdout.on('error', stop('standard output is closed'));
  const { signal } = stopping;
  const isStopped = (): boolean => signal.aborted;
  const closers = new CloseStack();
  try {
    if (options.output !== undefined) await makeDirectory(options.output);
    const service = await openService(config, logger, closers);
    const pool = options.store ? await openTables(config, logger, closers) : undefined;
    const job: Job = { options, config, service, pool, signal, taken: new Set() };
    let done = 0;
    const files = await findFiles(paths);
    for (const file of files) {
      if (isStopped()) break;
      try {
        if (file.kind === 'fault') throw file.error;
        await transcribe(file.path, job);
        done += 1;
      } catch (thrown) {
        say(isStopped() ? `${file.path}: stopped before its end` : faultText(file.path, thrown));
      }
    }
    if (files.length > 1) say(`${done} of ${files.length} files done`);
    return done === files.length;
  } finally {
    await closers.close();
  }
}

async function transcribe(
  path: string,
  { options, config, service, pool, signal, taken }: Job,
): Promise<void> {
  const startedAt = new Date();
  const transcript = await withProgress(path, process.stderr, (onProgress) =>
    transcribeFile(path, {
      service,
      model: options.model,
      vocabularyId: config.asr.vocabularyId,
      vocabularyModel: config.asr.model,
      rawRateHz: options.rate,
      speed: options.speed,
      signal,
      onProgress,
    }),
  );
  const text = writeTranscript(transcript, options.format);
  if (options.output !== undefined) {
    const target = join(options.output, freeName(basename(path), options.format, taken));
    await writeFile(target, text);
    say(`${path}: ${target}`);
  } else if (pool === undefined) print(text);
  if (pool !== undefined) say(`${path}: call ${await store(pool, transcript, startedAt)}`);
}

/** @throws {CallscribeError} `USAGE` */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (thrown) {
    const code = systemCode(thrown) ?? 'unknown fault';
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'a file has that name' : code;
    throw new CallscribeError('USAGE', `--output: ${path} cannot be a directory (${why}); name another`, {
      cause: thrown,
    });
  }
}

/** Two recordings of the same name in different directories must not overwrite each other. */
function freeName(name: string, ending: string, taken: Set<string>): string {
  let free = `${name}.${ending}`;
  for (let no = 2; taken.has(free); no += 1) free = `${name}-${no}.${ending}`;
  taken.add(free);
  return free;
}

async function openService(
  config: Config,
  logger: Logger,
  closers: CloseStack,
): Promise<TranscribeOptions['service']> {
  const { wsUrl, apiKey, workspace } = config.dashscope;
  if (wsUrl !== undefined) return { url: wsUrl, apiKey: apiKey ?? 'no-key-configured', workspace };
  const sandbox = await startSandbox({ host: '127.0.0.1', port: 0, recogniser: captionsRecogniser, logger });
  closers.add(() => sandbox.close());
  say(`No DASHSCOPE_API_KEY: the sandbox stands in for DashScope (${captionsRecogniser.description}).`);
  return { url: sandbox.url, apiKey: 'sandbox' };
}

async function openTables(config: Config, logger: Logger, closers: CloseStack): Promise<Pool> {
  if (config.databaseUrl === undefined) say('No DATABASE_URL: starting the embedded Postgres.');
  return openStore(await databaseUrlOf(config, logger, closers), logger, closers);
}

/** @returns the call's id */
async function store(pool: Pool, transcript: FileTranscript, startedAt: Date): Promise<string> {
  const callId = newCallId(startedAt);
  const { call, sentences } = callOfFile(transcript, {
    callId,
    tenant: 'default',
    legIds: transcript.legs.map(() => newLegId(callId)),
    startedAt,
  });
  try {
    await saveCall(pool, call);
    for (const sentence of sentences) await saveSentence(pool, sentence);
    await completeCall(pool, call.id);
  } catch (thrown) {
    throw toStoreError(thrown);
  }
  return call.id;
}

await runRoot(async () => {
  const line = readTranscribeCommandLine(process.argv.slice(2));
  if (line.kind === 'help') print(line.text);
  else process.exitCode = (await run(line.paths, line.options)) ? 0 : 1;
});

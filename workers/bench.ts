/**
 * `npm run bench -- --help`: measures on this machine. Recognisers, senders and receivers are processes of their own,
 * started and ended here; the last line printed is one JSON object. Exit codes: 0 measured, 1 failed, 2 wrong usage.
 * What Node itself is told, such as `node --cpu-prof --import tsx workers/bench.ts intake`, holds for all of them.
 */
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { readBenchCommandLine } from '../src/bench/command-line.ts';
import { asrDuties, benchAsr } from './bench-asr.ts';
import { benchFiles, filesDuties } from './bench-files.ts';
import { benchIntake, intakeDuties } from './bench-intake.ts';
import { benchLive, liveDuties } from './bench-live.ts';
import { benchPipeline, pipelineDuties } from './bench-pipeline.ts';
import { BenchProcess, serveDuties } from './bench-process.ts';
import { benchRecording, recordingDuties } from './bench-recording.ts';
import { benchSearch } from './bench-search.ts';
import { benchSharedIntakes, sharedDuties } from './bench-shared.ts';
import { runRoot } from './main.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const start = (name: string): BenchProcess => BenchProcess.start(fileURLToPath(import.meta.url), name);

await runRoot(async () => {
  if (process.send !== undefined && process.argv[2] === 'child') {
    serveDuties({
      ...asrDuties,
      ...filesDuties,
      ...intakeDuties,
      ...sharedDuties,
      ...pipelineDuties,
      ...recordingDuties,
      ...liveDuties,
    });
    return;
  }
  const line = readBenchCommandLine(process.argv.slice(2));
  if (line.kind === 'help') print(line.text.trimEnd());
  else if (line.kind === 'asr') await benchAsr(line.options, start, print);
  else if (line.kind === 'files') await benchFiles(line.options, start, print);
  else if (line.kind === 'live') await benchLive(line.options, start, print);
  else if (line.kind === 'recording') await benchRecording(line.options, start, print);
  else if (line.kind === 'search') await benchSearch(line.options, print);
  else if (line.kind === 'pipeline') await benchPipeline(line.options, start, print);
  else if (line.options.processes === 1) await benchIntake(line.options, start, print);
  else await benchSharedIntakes(line.options, start, print);
});

import { basename } from 'node:path';

import { SingleBar } from 'cli-progress';

import { progressLine } from './progress-line.ts';

/** Where progress is told; `process.stderr`. */
export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean | undefined;
  /** Of the terminal. */
  readonly columns?: number | undefined;
}

/** Told while a file is worked on. */
export type OnProgress = (share: number, sentences: number) => void;

/** A terminal that does not say how wide it is. */
const COLUMNS_DEFAULT = 80;

/**
 * Tells how far a file is: a bar on a terminal, which is gone afterwards; elsewhere a line at each tenth.
 *
 * @throws what `work` throws
 */
export function withProgress<T>(
  path: string,
  stream: ProgressStream,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  return stream.isTTY === true ? withBar(path, stream, work) : withLines(path, stream, work);
}

async function withBar<T>(
  path: string,
  stream: ProgressStream,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  const { name, barColumns } = progressLine(basename(path), stream.columns ?? COLUMNS_DEFAULT);
  const bar = new SingleBar({
    format: `{name} ${barColumns === 0 ? '' : '{bar} '}{percentage}% {sentences} sentences`,
    barsize: barColumns,
    stream,
    clearOnComplete: true,
  });
  bar.start(100, 0, { name, sentences: 0 });
  try {
    return await work((share, sentences) => {
      bar.update(Math.floor(share * 100), { sentences });
    });
  } finally {
    bar.stop();
  }
}

async function withLines<T>(
  path: string,
  stream: ProgressStream,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  const name = basename(path);
  let told = 0;
  return await work((share, sentences) => {
    const tenths = Math.floor(share * 10);
    if (tenths === told) return;
    told = tenths;
    stream.write(`${name}: ${tenths * 10}%, ${sentences} sentences\n`);
  });
}

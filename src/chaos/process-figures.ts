import { readdir, readFile, readlink } from 'node:fs/promises';

/** What the system tells of a process; proc(5), so on Linux only. */
export interface ProcessFigures {
  readonly rssMb: number;
  readonly sockets: number;
  /** Open descriptors that are no sockets. */
  readonly files: number;
}

/** @throws where the process is gone, or there is no /proc */
export async function processFigures(pid: number): Promise<ProcessFigures> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1');
  const rssKb = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  const names = await readdir(`/proc/${pid}/fd`);
  // A descriptor may be closed between the two looks.
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
  const sockets = targets.filter((target) => target.startsWith('socket:')).length;
  return {
    rssMb: Math.round(rssKb / 1_024),
    sockets,
    files: targets.filter((target) => target !== '').length - sockets,
  };
}

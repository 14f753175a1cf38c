import { readFile } from 'node:fs/promises';

/**
 * What the kernel dropped of datagrams for sockets that are bound now to certain ports, because their buffers were
 * full: the last column of /proc/net/udp and udp6.
 *
 * @returns undefined where the system does not tell
 */
export async function kernelDrops(isOurs: (port: number) => boolean): Promise<number | undefined> {
  try {
    const tables = await Promise.all(
      ['/proc/net/udp', '/proc/net/udp6'].map((file) => readFile(file, 'latin1')),
    );
    return tables.reduce((sum, table) => sum + dropsInTable(table, isOurs), 0);
  } catch {
    return undefined;
  }
}

export function dropsInTable(table: string, isOurs: (port: number) => boolean): number {
  let drops = 0;
  for (const line of table.split('\n').slice(1)) {
    const columns = line.trim().split(/\s+/);
    const port = parseInt(columns[1]?.split(':')[1] ?? '', 16);
    if (Number.isInteger(port) && isOurs(port)) drops += Number(columns.at(-1));
  }
  return drops;
}

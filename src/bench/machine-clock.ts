import process from 'node:process';

const [seconds, nanoseconds] = process.hrtime();
const offsetUs = (seconds + nanoseconds / 1e9) * 1e6 - performance.now() * 1e3;

/** Microseconds since the machine started: the same in all its processes, to some microseconds. Never goes back. */
export function machineUs(): number {
  return performance.now() * 1e3 + offsetUs;
}

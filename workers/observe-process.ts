import process from 'node:process';

import { type Metrics, observe } from '../src/metrics.ts';

/** What a process holds that should be flat while the load is. */
export function observeProcess(metrics: Metrics): void {
  observe(metrics, 'callscribe_process_heap_bytes', 'memory in use by JavaScript', () => {
    return process.memoryUsage().heapUsed;
  });
  observe(metrics, 'callscribe_process_timers', 'timers that are set', () => {
    return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  });
}

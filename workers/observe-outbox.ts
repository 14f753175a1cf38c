import { type Metrics, observe } from '../src/metrics.ts';
import type { QueuePublisher } from '../src/queue/publisher.ts';

/** Figures of the way from the calls to the rows, and the alarms that come long before a bound. */
export function observeOutbox(metrics: Metrics, publisher: QueuePublisher): void {
  const show = (name: string, help: string, read: () => number): void => {
    observe(metrics, `callscribe_outbox_${name}`, help, read);
  };
  show('waiting', 'facts that the queue has not taken yet', () => publisher.counts.waiting);
  show('unsettled', 'facts that are not known to be rows yet', () => publisher.counts.unsettled);
  show('bytes', 'bytes of the outbox', () => publisher.storage.bytes);
  show('max_bytes', 'bytes that the outbox may have', () => publisher.storage.maxBytes);
  show('alarm', '1: a quarter of the bound is used up, since queue or database do not take facts', () =>
    publisher.storage.alarm ? 1 : 0,
  );
  show('disk_refuses', '1: the disk does not take facts, and they wait in memory', () =>
    publisher.storage.disk === 'refuses' ? 1 : 0,
  );
  show('damaged_lines', 'lines of the outbox that could not be read back', () => publisher.storage.damaged);
}

import type { Bus } from '../../src/bus/bus.ts';
import type { ControlCommand } from '../../src/control/commands.ts';
import { serveControl } from '../../src/control/control-server.ts';
import { silentLogger } from '../../src/log.ts';

const ANSWERS: Readonly<Record<ControlCommand['kind'], object>> = {
  pause: { state: 'paused', since: '2026-03-01T08:00:00.000Z', changed: true },
  resume: { state: 'running', since: '2026-03-01T08:00:00.000Z', changed: true },
  relabel: { found: true, changed: true },
  recognise: { legs: 1 },
};

const answering = new WeakMap<Bus, Promise<unknown>>();

/** An intake on this bus that says of every call that it did what it was told. Once a bus. */
export function answerCommands(bus: Bus): Promise<unknown> {
  let served = answering.get(bus);
  if (served === undefined) {
    const execute = (_id: unknown, { kind }: ControlCommand): Promise<object> =>
      Promise.resolve(ANSWERS[kind]);
    served = serveControl({ bus, execute, logger: silentLogger });
    answering.set(bus, served);
  }
  return served;
}

import { type Config, ConfigError } from '../src/config.ts';
import type { Logger } from '../src/log.ts';
import { claimPorts } from '../src/rtp/port-claim.ts';
import type { CloseStack } from './close-stack.ts';

/**
 * Ports rest before they are used again, which holds only while no other process uses them.
 *
 * @throws {ConfigError} where another intake that shares our calls has them
 */
export async function claimConfiguredPorts(
  config: Pick<Config, 'rtp' | 'drachtio'>,
  logger: Logger,
  closers: CloseStack,
): Promise<void> {
  const { portMin: firstPort, portMax: lastPort } = config.rtp;
  const { drachtio } = config;
  const sipServer = drachtio === undefined ? undefined : `${drachtio.host}:${drachtio.port}`;
  const claim = await claimPorts({ firstPort, lastPort, sipServer });
  closers.add(() => claim.release());
  for (const other of claim.overlapping) {
    if (sipServer !== undefined && other.sipServer === sipServer) {
      const theirs = `${other.firstPort}-${other.lastPort}`;
      throw new ConfigError([
        {
          name: 'RTP_PORTS',
          found: `${firstPort}-${lastPort}, while process ${other.pid} has ${theirs} and shares our calls`,
          allowed: 'a range of its own for each intake of a machine',
        },
      ]);
    }
    logger.warn(
      { pid: other.pid, ports: `${other.firstPort}-${other.lastPort}` },
      'another process uses the same RTP_PORTS: they do not rest between its calls and ours',
    );
  }
}

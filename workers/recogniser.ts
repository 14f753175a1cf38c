import { randomUUID } from 'node:crypto';

import type { Config } from '../src/config.ts';
import type { ApiKey } from '../src/dashscope/connection.ts';
import { KeyFile } from '../src/dashscope/key-file.ts';
import type { Logger } from '../src/log.ts';
import { captionsRecogniser } from '../src/sandbox/captions-recogniser.ts';
import { SANDBOX_RATE_LIMIT, startSandbox } from '../src/sandbox/server.ts';
import type { CloseStack } from './close-stack.ts';
import { namedVocabularies } from './routes.ts';

/** Where speech is recognised. */
export interface Recogniser {
  readonly kind: 'sandbox' | 'dashscope';
  readonly url: string;
  readonly apiKey: ApiKey;
}

interface RecogniserOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly onStep?: (step: string) => void;
}

/** DashScope where it is configured, else a sandbox, which is started. @throws {CallscribeError} ROUTES_INVALID */
export async function findRecogniser(
  { config, logger, onStep }: RecogniserOptions,
  closers: CloseStack,
): Promise<Recogniser> {
  const { apiKey, apiKeyFile, wsUrl } = config.dashscope;
  if (wsUrl !== undefined) {
    const key = apiKeyFile === undefined ? (apiKey ?? 'no-key-configured') : new KeyFile(apiKeyFile).apiKey;
    return { kind: 'dashscope', url: wsUrl, apiKey: key };
  }
  onStep?.('starting the sandbox in place of DashScope (it recognises no speech, it reads captions)');
  const sandboxKey = randomUUID();
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    apiKeys: [sandboxKey],
    recogniser: captionsRecogniser,
    // Hot words that are named exist, whatever they are: their lists are not here.
    vocabularies: await namedVocabularies(config, logger),
    rateLimit: SANDBOX_RATE_LIMIT,
    logger,
  });
  closers.add(() => sandbox.close());
  logger.warn(
    { recogniser: captionsRecogniser.description },
    'sandbox in place of DashScope: no real recognition',
  );
  return { kind: 'sandbox', url: sandbox.url, apiKey: sandboxKey };
}

import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';

/** PEM files. */
export interface TlsFiles {
  /** The server's certificate, with the chain below its authority. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities whose certificates peers must show; without it peers need none. */
  readonly caFile: string | undefined;
}

/** What a server or a connection is made with. */
export interface TlsSettings extends SecureContextOptions {
  readonly requestCert?: boolean;
  readonly rejectUnauthorized?: boolean;
}

export interface TlsCredentialsOptions {
  readonly files: TlsFiles;
  /** How often the files are looked at. */
  readonly checkEveryMs?: number;
  /** New files that cannot be used; the old ones stay in use. Told at every look. */
  readonly onUnusable?: () => void;
  readonly logger: Logger;
}

/** Whoever renews certificates need not know of us: the files are read again every minute. */
const CHECK_EVERY_MS = 60_000;

/**
 * The certificate of the SIP side, kept up to date: replaced files hold for every handshake after the next look at them,
 * connections that stand go on. At least TLS 1.2 (RFC 8996).
 */
export class TlsCredentials {
  readonly #options: TlsCredentialsOptions;
  readonly #listeners: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #current: TlsSettings;
  #wasUnusable = false;

  private constructor(options: TlsCredentialsOptions, current: TlsSettings) {
    this.#options = options;
    this.#current = current;
    this.#timer = setInterval(() => {
      void this.refresh();
    }, options.checkEveryMs ?? CHECK_EVERY_MS);
    this.#timer.unref();
  }

  /** @throws {CallscribeError} `SIP_TLS_CREDENTIALS`, naming the setting */
  static async open(options: TlsCredentialsOptions): Promise<TlsCredentials> {
    return new TlsCredentials(options, await readCredentials(options.files));
  }

  get current(): TlsSettings {
    return this.#current;
  }

  /** Whether a peer must show a certificate of a known authority. */
  get verifiesPeers(): boolean {
    return this.#options.files.caFile !== undefined;
  }

  onReplaced(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Reads the files; where they cannot be used, what was there before stays. Never rejects. */
  async refresh(): Promise<'replaced' | 'same' | 'unusable'> {
    const { files, logger, onUnusable } = this.#options;
    try {
      const read = await readCredentials(files);
      this.#wasUnusable = false;
      if (
        read.cert === this.#current.cert &&
        read.key === this.#current.key &&
        read.ca === this.#current.ca
      ) {
        return 'same';
      }
      this.#current = read;
      for (const listener of this.#listeners) listener();
      logger.info('SIP TLS certificate replaced');
      return 'replaced';
    } catch (thrown) {
      onUnusable?.();
      // Once until it is mended: a certificate may be wrong for a night.
      if (!this.#wasUnusable) {
        logger.error({ err: toError(thrown) }, 'new SIP TLS certificate cannot be used, the old one stays');
      }
      this.#wasUnusable = true;
      return 'unusable';
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

async function readCredentials({ certFile, keyFile, caFile }: TlsFiles): Promise<TlsSettings> {
  const cert = await readPem('SIP_TLS_CERT', certFile);
  const key = await readPem('SIP_TLS_KEY', keyFile);
  const ca = caFile === undefined ? undefined : await readPem('SIP_TLS_CA', caFile);
  const options: TlsSettings = {
    cert,
    key,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }),
  };
  try {
    createSecureContext(options);
  } catch (thrown) {
    throw new CallscribeError(
      'SIP_TLS_CREDENTIALS',
      `SIP_TLS_CERT and SIP_TLS_KEY: found files that do not make a TLS server (${systemCode(thrown) ?? 'no PEM'}), ` +
        'expected a PEM certificate and its private key without a passphrase',
      { cause: thrown },
    );
  }
  return options;
}

async function readPem(setting: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    throw new CallscribeError(
      'SIP_TLS_CREDENTIALS',
      `${setting}: the file cannot be read (${systemCode(thrown) ?? 'unknown fault'})`,
      { cause: thrown },
    );
  }
}

import { readFile } from 'node:fs/promises';

import { systemCode } from '../errors.ts';
import { DashScopeError } from './errors.ts';

/** Longer than any key or token; whatever is longer is another file. */
const KEY_MAX_CHARACTERS = 4_096;

/**
 * A key, or temporary token, that another program keeps in a file: `apiKey: keyFile.apiKey`. Read anew for each
 * connection, so that a new key holds at once; while the file cannot be read or is empty, the last one does.
 */
export class KeyFile {
  readonly #path: string;
  #last: string | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {DashScopeError} `ASR_UNREACHABLE` where no key could ever be read */
  readonly apiKey = async (): Promise<string> => {
    const found = await this.#read();
    if ('key' in found) this.#last = found.key;
    if (this.#last !== undefined) return this.#last;
    const fault = 'fault' in found ? found.fault : '';
    throw new DashScopeError(
      'network',
      'ASR_UNREACHABLE',
      `the file of DASHSCOPE_API_KEY_FILE holds no key (${fault}), expected one line with a key or token`,
    );
  };

  async #read(): Promise<{ readonly key: string } | { readonly fault: string }> {
    try {
      const key = (await readFile(this.#path, 'utf8')).trim();
      if (key === '') return { fault: 'it is empty' };
      if (key.length > KEY_MAX_CHARACTERS || /[^\x21-\x7e]/.test(key)) return { fault: 'it is not one line' };
      return { key };
    } catch (error) {
      return { fault: systemCode(error) ?? 'it cannot be read' };
    }
  }
}

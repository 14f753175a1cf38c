import { createHash } from 'node:crypto';

import type { PromptBeside, PromptFile } from './voicemail-rules.ts';

export type LoadPrompt = (directory: string, file: PromptFile) => Promise<PromptBeside>;

/** Greetings of all rules together: an hour, in each law 28.8 MB. */
const SAMPLES_MAX = 28_800_000;

/** What the rules have to be played, read once for all of them. */
export class PromptsBeside {
  readonly #directory: string;
  readonly #loadPrompt: LoadPrompt | undefined;
  readonly #wanted = new Map<string, PromptFile>();
  readonly #found = new Map<string, PromptBeside>();
  readonly #paths = new Set<string>();
  #samples = 0;

  constructor(directory: string, loadPrompt: LoadPrompt | undefined) {
    this.#directory = directory;
    this.#loadPrompt = loadPrompt;
  }

  /** From the rules' directory. */
  get paths(): readonly string[] {
    return [...this.#paths];
  }

  /** Of all that was read: the same for the same. */
  get digests(): readonly string[] {
    return [...this.#found].map(([key, found]) => {
      const hash = createHash('sha256').update(key);
      if (found.kind === 'fault') return hash.update(found.what).digest('hex');
      return hash.update(found.prompt.PCMU).update(found.prompt.PCMA).digest('hex');
    });
  }

  /** Whether something was asked for that is not read yet. */
  get areWanted(): boolean {
    return this.#wanted.size > 0;
  }

  read(file: PromptFile): PromptBeside {
    if (this.#loadPrompt === undefined) return UNHEARD;
    const key = JSON.stringify([file.path, file.maxMs]);
    const found = this.#found.get(key);
    if (found === undefined) this.#wanted.set(key, file);
    return found ?? { kind: 'fault', what: 'not read yet' };
  }

  async load(): Promise<void> {
    for (const [key, file] of this.#wanted) {
      this.#paths.add(file.path);
      this.#found.set(key, await this.#load(file));
    }
    this.#wanted.clear();
  }

  async #load(file: PromptFile): Promise<PromptBeside> {
    if (this.#loadPrompt === undefined) return UNHEARD;
    if (this.#samples > SAMPLES_MAX) return { kind: 'fault', what: 'the greetings before it last an hour' };
    const found = await this.#loadPrompt(this.#directory, file);
    if (found.kind === 'prompt') this.#samples += found.prompt.PCMU.length;
    return found;
  }
}

/** Whoever reads the rules plays nothing. */
const UNHEARD: PromptBeside = { kind: 'prompt', prompt: { PCMU: new Uint8Array(), PCMA: new Uint8Array() } };

import type { G711Law } from './payload-map.ts';

/** G.711 of one prompt in both laws, one octet a sample at 8 kHz; both of one length. */
export type Prompt = Readonly<Record<G711Law, Uint8Array>>;

/** `stopped`: its last samples were never sent. */
export type PromptOutcome = 'played' | 'stopped';

/** What a leg is told at once; a prompt beyond it is not taken. */
const PROMPTS_MAX = 16;

/** The codes of a sample of 0 (ITU-T G.711 tables 1a and 2a). */
const SILENCE: Readonly<Record<G711Law, number>> = { PCMU: 0xff, PCMA: 0xd5 };

/** Prompts in a row without a gap between them, and silence behind the last one. */
export class PromptQueue {
  readonly #waiting: { readonly prompt: Prompt; readonly done: (outcome: PromptOutcome) => void }[] = [];
  /** Of the first one. */
  #playedSamples = 0;

  /** Resolves when the prompt's last sample was taken; never rejects. */
  add(prompt: Prompt): Promise<PromptOutcome> {
    return new Promise((resolve) => {
      if (this.#waiting.length === PROMPTS_MAX) resolve('stopped');
      else this.#waiting.push({ prompt, done: resolve });
    });
  }

  /** Fills `target` with the next samples; the law may change between two takes. */
  take(law: G711Law, target: Uint8Array): void {
    let filled = 0;
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      const codes = first.prompt[law];
      const end = Math.min(codes.length, this.#playedSamples + target.length - filled);
      target.set(codes.subarray(this.#playedSamples, end), filled);
      filled += end - this.#playedSamples;
      this.#playedSamples = end;
      if (end < codes.length) return;
      this.#waiting.shift();
      this.#playedSamples = 0;
      first.done('played');
    }
    target.fill(SILENCE[law], filled);
  }

  clear(): void {
    this.#playedSamples = 0;
    for (const { done } of this.#waiting.splice(0)) done('stopped');
  }
}

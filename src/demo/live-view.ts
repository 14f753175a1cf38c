import { createLogUpdate } from 'log-update';
import pc from 'picocolors';

import type { Clock } from '../clock.ts';
import type { LegId } from '../ids.ts';
import type { PartialSentence, TranscriptEvent } from '../transcript/sentence.ts';
import { type Colours, type Speaker, speakerText, timeText } from './speaker.ts';

export interface LiveViewOptions {
  readonly stream: NodeJS.WriteStream;
  readonly clock: Clock;
  /** Whose leg it is; asked at each event, since metadata may come late. */
  readonly speakerOf: (legId: LegId) => Speaker;
}

/** Where there is no terminal, a leg's partial sentence is shown at most so often. */
const PARTIAL_INTERVAL_MS = 2_000;

/**
 * Shows a call's sentences while they are spoken. On a terminal the final ones stand above, each once, and what
 * is being said on each leg runs below; elsewhere every line is printed once and partial ones are rare.
 */
export class LiveView implements Disposable {
  readonly #options: LiveViewOptions;
  readonly #colours: Colours;
  readonly #terminal: ReturnType<typeof createLogUpdate> | undefined;
  /** The sentence that is being spoken, by leg, in the order of the legs' first words. */
  readonly #partials = new Map<LegId, PartialSentence>();
  readonly #partialShownMs = new Map<LegId, number>();

  constructor(options: LiveViewOptions) {
    this.#options = options;
    const { stream } = options;
    this.#colours = pc.createColors(stream.isTTY && stream.hasColors());
    if (stream.isTTY) this.#terminal = createLogUpdate(stream);
  }

  show(event: TranscriptEvent): void {
    const { legId } = event.sentence;
    if (event.kind === 'final') {
      this.#partials.delete(legId);
      this.#partialShownMs.delete(legId);
      this.#print(this.#line(event.sentence, 'final'));
    } else {
      this.#partials.set(legId, event.sentence);
      if (this.#terminal === undefined) this.#printRarely(event.sentence);
    }
    this.#render();
  }

  /** A line between the sentences, such as that the call has ended. */
  note(text: string): void {
    this.#print(this.#colours.dim(text));
    this.#render();
  }

  /** Takes the running lines away and gives the cursor back. May be called twice. */
  close(): void {
    this.#partials.clear();
    this.#terminal?.clear();
    this.#terminal?.done();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #print(line: string): void {
    if (this.#terminal === undefined) this.#options.stream.write(`${line}\n`);
    else this.#terminal.persist(line);
  }

  #printRarely(sentence: PartialSentence): void {
    const nowMs = this.#options.clock.monotonicMs();
    // The first words of a sentence wait too: a short sentence is final before they would help.
    const shownMs = this.#partialShownMs.get(sentence.legId);
    if (shownMs === undefined) this.#partialShownMs.set(sentence.legId, nowMs);
    else if (nowMs - shownMs >= PARTIAL_INTERVAL_MS) {
      this.#partialShownMs.set(sentence.legId, nowMs);
      this.#print(this.#line(sentence, 'partial'));
    }
  }

  #render(): void {
    if (this.#terminal === undefined) return;
    const lines = [...this.#partials.values()].map((sentence) => this.#line(sentence, 'partial'));
    if (lines.length === 0) this.#terminal.clear();
    else this.#terminal(lines.join('\n'));
  }

  #line(sentence: Pick<PartialSentence, 'legId' | 'beginMs' | 'text'>, kind: 'partial' | 'final'): string {
    const speaker = speakerText(this.#options.speakerOf(sentence.legId), this.#colours);
    const text = kind === 'final' ? sentence.text : this.#colours.dim(`${sentence.text} …`);
    return `${this.#colours.dim(timeText(sentence.beginMs))}  ${speaker}  ${text}`;
  }
}

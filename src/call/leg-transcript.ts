import type { AsrEvent, AsrSession } from '../asr/session.ts';
import { CallscribeError, toError } from '../errors.ts';
import type { LiveHub } from '../live/hub.ts';
import type { Logger } from '../log.ts';
import { type AssemblerOptions, TranscriptAssembler } from '../transcript/assembler.ts';
import type { FinalSentence } from '../transcript/sentence.ts';
import type { Publisher } from './publisher.ts';

export interface LegTranscriptOptions extends AssemblerOptions {
  readonly session: AsrSession;
  readonly publisher: Publisher;
  readonly live: LiveHub;
  readonly logger: Logger;
  /** It was published. */
  readonly onSentence: (sentence: FinalSentence) => void;
  readonly onEvent: (kind: string, detail: Readonly<Record<string, unknown>>) => void;
}

/**
 * What a leg's recogniser gives, on its way to the publisher and the live hub. What its session went through becomes
 * events of the call; a session that fails ends the transcript, never the leg.
 */
export class LegTranscript {
  readonly #options: LegTranscriptOptions;
  readonly #assembler: TranscriptAssembler;
  readonly #done: Promise<void>;
  #failed = false;
  #unrecognisedSamples = 0;
  #owedFrom: number | undefined;

  constructor(options: LegTranscriptOptions) {
    this.#options = options;
    this.#assembler = new TranscriptAssembler(options);
    this.#done = this.#read();
  }

  get failed(): boolean {
    return this.#failed;
  }

  get sentenceCount(): number {
    return this.#assembler.sentenceCount;
  }

  get malformedMessages(): number {
    return this.#options.session.malformedMessages;
  }

  /** Audio in which something may have been said and that the recogniser gave no words for. */
  get unrecognisedMs(): number {
    return Math.round(this.#unrecognisedSamples / SAMPLES_PER_MS);
  }

  /** From where on the leg has no sentences though something may have been said; undefined: it has all. */
  get owedFromSample(): number | undefined {
    return this.#owedFrom;
  }

  push(pcm: Buffer): void {
    if (this.#failed) this.#unrecognisedSamples += pcm.length / BYTES_PER_SAMPLE;
    else this.#options.session.push(pcm);
  }

  /** See `AsrSession.endSentence`. */
  endSentence(): void {
    this.#options.session.endSentence();
  }

  /** Waits for the last words, bounded by the session. Never rejects. */
  async finish(): Promise<void> {
    await this.#options.session.finish();
    await this.#done;
  }

  async #read(): Promise<void> {
    const { session, publisher, live, logger, callId, legId, onEvent, onSentence } = this.#options;
    try {
      for await (const event of session) {
        this.#tell(event);
        const transcript = this.#assembler.accept(event);
        if (transcript === undefined) continue;
        if (transcript.kind === 'final') {
          publisher.publishSentence(transcript.sentence);
          onSentence(transcript.sentence);
        }
        live.emit('transcript', transcript);
      }
    } catch (error) {
      this.#failed = true;
      const code = error instanceof CallscribeError ? error.code : 'ASR_PROTOCOL';
      logger.error({ err: toError(error), callId, legId }, 'recognition failed');
      onEvent('asr_failed', { code, sentences: this.#assembler.sentenceCount });
    }
  }

  /** What a reader of the call may want to know of its recognition. */
  #tell(event: AsrEvent): void {
    const { onEvent } = this.#options;
    switch (event.kind) {
      case 'reconnected': {
        const { attempt, code, gapMs, replayedMs } = event;
        onEvent('asr_reconnected', { attempt, code, gapMs, replayedMs });
        return;
      }
      case 'postponed':
        onEvent('asr_postponed', { beginMs: event.fromMs, code: event.code });
        return;
      case 'unrecognised': {
        const { fromSample, toSample, code } = event;
        this.#unrecognisedSamples += toSample - fromSample;
        this.#owedFrom ??= fromSample;
        const toMs = (sample: number): number => Math.round(sample / SAMPLES_PER_MS);
        onEvent('asr_unrecognised', { beginMs: toMs(fromSample), endMs: toMs(toSample), code });
        return;
      }
      case 'final':
        // What was given up before it keeps no number; a leg's numbers follow its speech.
        this.#owedFrom = undefined;
        return;
      case 'started':
      case 'partial':
        return;
      default:
        event satisfies never;
    }
  }
}

const SAMPLES_PER_MS = 8;
/** Signed 16-bit samples. */
const BYTES_PER_SAMPLE = 2;

import type { AsrSession } from '../asr/session.ts';
import { CallscribeError, toError } from '../errors.ts';
import type { LiveHub } from '../live/hub.ts';
import type { Logger } from '../log.ts';
import { type AssemblerOptions, TranscriptAssembler } from '../transcript/assembler.ts';
import type { Publisher } from './publisher.ts';

export interface LegTranscriptOptions extends AssemblerOptions {
  readonly session: AsrSession;
  readonly publisher: Publisher;
  readonly live: LiveHub;
  readonly logger: Logger;
  readonly onEvent: (kind: string, detail: Readonly<Record<string, unknown>>) => void;
}

/**
 * What a leg's recogniser gives, on its way to the publisher and the live hub. A session that fails ends the
 * transcript, never the leg: the fault becomes a call event, what follows is not recognised.
 */
export class LegTranscript {
  readonly #options: LegTranscriptOptions;
  readonly #assembler: TranscriptAssembler;
  readonly #done: Promise<void>;
  #failed = false;

  constructor(options: LegTranscriptOptions) {
    this.#options = options;
    const { callId, legId, legNo, startedAt, concealedMs, correctionMs } = options;
    this.#assembler = new TranscriptAssembler({
      callId,
      legId,
      legNo,
      startedAt,
      concealedMs,
      correctionMs,
    });
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

  /** @returns whether the recogniser takes it */
  push(pcm: Buffer): boolean {
    if (!this.#failed) this.#options.session.push(pcm);
    return !this.#failed;
  }

  /** Waits for the last words, bounded by the session. Never rejects. */
  async finish(): Promise<void> {
    await this.#options.session.finish();
    await this.#done;
  }

  async #read(): Promise<void> {
    const { session, publisher, live, logger, callId, legId, onEvent } = this.#options;
    try {
      for await (const event of session) {
        const transcript = this.#assembler.accept(event);
        if (transcript === undefined) continue;
        if (transcript.kind === 'final') publisher.publishSentence(transcript.sentence);
        live.emit('transcript', transcript);
      }
    } catch (error) {
      this.#failed = true;
      const code = error instanceof CallscribeError ? error.code : 'ASR_PROTOCOL';
      logger.error({ err: toError(error), callId, legId }, 'recognition failed');
      onEvent('asr_failed', { code, sentences: this.#assembler.sentenceCount });
    }
  }
}

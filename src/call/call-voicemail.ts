import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { TelephoneEvent } from '../rtp/telephone-events.ts';
import {
  type MessageAction,
  type MessageInput,
  type MessageState,
  nextMessage,
  type PromptName,
} from '../voicemail/message-machine.ts';
import { SpeechMeter } from '../voicemail/speech-meter.ts';
import type { VoicemailTerms } from '../voicemail/terms.ts';
import type { Leg } from './leg.ts';
import { keyOf } from './leg-keys.ts';
import type { LegAttendant } from './leg-services.ts';

export interface CallVoicemailOptions {
  readonly terms: VoicemailTerms;
  readonly clock: Clock;
  readonly onEvent: (kind: string, detail: object, leg?: Leg) => void;
  /** Ends the call from our side. */
  readonly hangUp: () => void;
  readonly metrics: Pick<Metrics, 'voicemails' | 'voicemailsInProgress'>;
}

const LOOK_EVERY_MS = 100;
const SAMPLES_PER_MS = 8;

type Unplaced<Input> = Input extends unknown ? Omit<Input, 'nowMs' | 'atMs'> : never;

/** Greets the caller of one leg and takes a message: gives `nextMessage` what happens, and does what it says. */
export class CallVoicemail implements LegAttendant {
  readonly #options: CallVoicemailOptions;
  readonly #speech = new SpeechMeter();
  #state: MessageState = { kind: 'unanswered' };
  #leg: Leg | undefined;
  #looking: NodeJS.Timeout | undefined;
  /** Nothing happens any more but the end. */
  #isLeaving = false;

  constructor(options: CallVoicemailOptions) {
    this.#options = options;
  }

  /** The leg was opened on which the caller is. */
  attend(leg: Leg): void {
    this.#leg = leg;
  }

  /** The call is answered, and it is known where to send. May be called twice. */
  begin(): void {
    if (this.#state.kind !== 'unanswered' || this.#leg === undefined) return;
    this.#options.metrics.voicemailsInProgress.inc();
    this.#leg.speak();
    this.#give({ kind: 'answered' });
    this.#looking = setInterval(() => {
      this.#look();
    }, LOOK_EVERY_MS);
    this.#looking.unref();
  }

  key(event: TelephoneEvent): void {
    const key = keyOf(event);
    if (key === undefined) return;
    const beginMs =
      event.beginSample === undefined ? undefined : Math.round(event.beginSample / SAMPLES_PER_MS);
    this.#give({ kind: 'key', key, beginMs, speechMs: this.#speech.takeMs() });
  }

  heard(pcm: Buffer): void {
    this.#speech.push(pcm);
  }

  /** The call begins to end; what is on its way from the caller still belongs to the message. */
  leave(): void {
    this.#isLeaving = true;
    clearInterval(this.#looking);
  }

  /** The leg has ended. Once. */
  end(): void {
    if (this.#state.kind !== 'unanswered') this.#options.metrics.voicemailsInProgress.dec();
    this.#give({ kind: 'gone', speechMs: this.#speech.takeMs() });
  }

  #look(): void {
    const leg = this.#leg;
    if (leg === undefined) return;
    this.#give({
      kind: 'look',
      media: leg.packetsReceived > 0 ? 'some' : 'none',
      speechMs: this.#speech.takeMs(),
      listening: leg.isMuted || leg.isHeld ? 'no' : 'yes',
    });
  }

  #give(input: Unplaced<MessageInput>): void {
    if (this.#isLeaving && input.kind !== 'gone') return;
    const { clock, terms } = this.#options;
    // A beep may end while nothing comes; what was recorded last is long ago then.
    const atMs = Math.round((input.kind === 'played' ? this.#leg?.placeMs : this.#leg?.atMs) ?? 0);
    const step = nextMessage(this.#state, { ...input, nowMs: clock.monotonicMs(), atMs }, terms);
    this.#state = step.state;
    for (const action of step.actions) this.#do(action);
  }

  #do(action: MessageAction): void {
    const { onEvent, hangUp, metrics } = this.#options;
    switch (action.kind) {
      case 'play':
        void this.#play(action.prompt);
        return;
      case 'stop-playing':
        this.#leg?.stopPlaying();
        return;
      case 'admit':
        this.#leg?.admit();
        return;
      case 'withhold':
        this.#leg?.withhold();
        return;
      case 'began':
        onEvent('voicemail_began', action.detail, this.#leg);
        return;
      case 'ended':
        metrics.voicemails.inc({ end: action.detail.reason });
        onEvent('voicemail_ended', action.detail, this.#leg);
        return;
      case 'abandoned':
        metrics.voicemails.inc({ end: 'abandoned' });
        onEvent('voicemail_abandoned', action.detail);
        return;
      case 'hang-up':
        hangUp();
        return;
      default:
        action satisfies never;
    }
  }

  async #play(prompt: PromptName): Promise<void> {
    await this.#leg?.play(this.#options.terms[prompt]);
    // Also where it was stopped, by whoever has gone on since; or could not be played, so that the call has an end.
    this.#give({ kind: 'played', prompt });
  }
}

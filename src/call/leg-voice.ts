import type { LegPlayer, SendTerms } from '../rtp/leg-player.ts';
import type { Prompt, PromptOutcome } from '../rtp/prompt.ts';
import type { LegReceiver } from '../rtp/receiver.ts';
import type { OfferedLine } from '../sip/sdp.ts';

/** What a leg says, through all its offers; nothing before `speak`. */
export class LegVoice {
  #terms: SendTerms | undefined;
  #player: LegPlayer | undefined;

  /** What a line's description says of what the peer takes. */
  follow(line: OfferedLine): void {
    const [chosen] = line.g711;
    if (chosen === undefined) return;
    const { address, port } = line;
    this.#terms = { ...chosen, signalled: { address, port }, takes: takesMedia(line) ? 'media' : 'nothing' };
    this.#player?.direct(this.#terms);
  }

  /** Begins the continuous stream. May be called twice. */
  speak(receiver: LegReceiver): void {
    if (this.#terms !== undefined) this.#player ??= receiver.speak(this.#terms);
  }

  /** Plays a prompt after those that wait; resolves when its last sample has left, and never rejects. */
  play(prompt: Prompt): Promise<PromptOutcome> {
    return this.#player?.play(prompt) ?? Promise.resolve('stopped');
  }

  stopPlaying(): void {
    this.#player?.stopPlaying();
  }

  end(): void {
    this.#player?.end();
  }
}

/** Not so on hold: by its direction (RFC 3264 §8.4), by the placeholder address, by port 0. */
function takesMedia({ direction, nullAddress, port }: OfferedLine): boolean {
  return (direction === 'sendrecv' || direction === 'recvonly') && !nullAddress && port !== 0;
}

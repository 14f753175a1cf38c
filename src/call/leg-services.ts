import type { OpenAsrSession } from '../asr/session.ts';
import type { Clock } from '../clock.ts';
import type { CallId, LegId } from '../ids.ts';
import type { LiveHub } from '../live/hub.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { LegRecorder } from '../recording/leg-recorder.ts';
import type { LegReceiver, LegReceiverOptions } from '../rtp/receiver.ts';
import type { TelephoneEvent } from '../rtp/telephone-events.ts';
import type { OfferedLine } from '../sip/sdp.ts';
import type { FinalSentence } from '../transcript/sentence.ts';
import type { Leg } from './leg.ts';
import type { CallPolicy } from './policy.ts';
import type { Publisher } from './publisher.ts';

/** Binds a leg's ports; a root fills in the port pool and the clocks. */
export type OpenReceiver = (
  options: Omit<LegReceiverOptions, 'ports' | 'ticker' | 'pacer' | 'clock'>,
) => Promise<LegReceiver>;

/** What every leg of the process shares. */
export interface LegServices {
  readonly openReceiver: OpenReceiver;
  readonly openAsr: OpenAsrSession;
  readonly publisher: Publisher;
  readonly live: LiveHub;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<
    Metrics,
    | 'rtpPackets'
    | 'rtcpPackets'
    | 'concealedMs'
    | 'silentLegs'
    | 'mediaSilences'
    | 'holds'
    | 'keys'
    | 'asrUnrecognisedMs'
    | 'voicemails'
    | 'voicemailsInProgress'
  >;
}

/** Who talks with the caller of a leg, and decides from when to when the leg is kept. */
export interface LegAttendant {
  /** Told also while the leg is not kept, but not in a pause. */
  key(event: TelephoneEvent): void;
  /** What the caller says while it is kept, 100 ms at a time. */
  heard(pcm: Buffer): void;
}

export interface LegOptions {
  readonly callId: CallId;
  readonly policy: Pick<CallPolicy, 'tenant' | 'webhooks' | 'recognition' | 'keepsWords' | 'dtmfDigits'>;
  readonly legNo: number;
  readonly line: OfferedLine;
  /** Where the dialog's SIP comes from. */
  readonly peerAddress: string;
  /** Undefined: nobody; the leg is kept from its first sample to its last. */
  readonly attendant: LegAttendant | undefined;
  readonly openRecorder: (legId: LegId) => LegRecorder;
  /** A final sentence was published. */
  readonly onSentence: (sentence: FinalSentence) => void;
  /** The leg's record has changed. */
  readonly onChange: () => void;
  readonly onEvent: (kind: string, detail: Readonly<Record<string, unknown>>, leg: Leg) => void;
}

import { systemClock } from '../../src/clock.ts';
import type { LegPlayer, SendTerms } from '../../src/rtp/leg-player.ts';
import type { G711Law } from '../../src/rtp/payload-map.ts';
import type { LegReceiver, LegReceiverOptions } from '../../src/rtp/receiver.ts';
import type { SrtpSuite } from '../../src/rtp/srtp-key.ts';
import { openLeg } from '../support/media-leg.ts';
import { srtpKey, testKey } from '../support/srtp-stream.ts';
import type { StubRequest } from './uas-stub.ts';

/** A peer that answers an INVITE of one line `sendrecv`, and whose leg speaks to the caller. */
export interface SpeakingPeer {
  readonly leg: LegReceiver;
  readonly player: LegPlayer;
}

/** Opens the leg that an INVITE asks for, begins to speak on it, and answers with 200. */
export async function answerSpeaking(
  invite: StubRequest,
  options: Partial<LegReceiverOptions> = {},
): Promise<SpeakingPeer> {
  const [, port = '', protocol = '', payloadType = ''] =
    /^m=audio (\d+) (RTP\/S?AVP) (\d+) 101/m.exec(invite.body) ?? [];
  const law: G711Law = payloadType === '8' ? 'PCMA' : 'PCMU';
  const [, suite, inline = ''] = /^a=crypto:1 (\S+) inline:(\S+)/m.exec(invite.body) ?? [];
  const ownKey = testKey(5);
  const security = {
    suite: suite as SrtpSuite,
    remoteKeys: [srtpKey(Buffer.from(inline, 'base64'))],
    localKey: ownKey,
  };
  const leg = await openLeg({
    codecs: new Map([[Number(payloadType), law]]),
    telephoneEventPayloadTypes: new Set([101]),
    clock: systemClock,
    ...(suite === undefined ? {} : { security }),
    ...options,
  });
  const terms: SendTerms = {
    law,
    payloadType: Number(payloadType),
    signalled: { address: '127.0.0.1', port: Number(port) },
    takes: 'media',
  };
  const player = leg.speak(terms);
  const cryptoLine = `a=crypto:1 ${String(suite)} inline:${ownKey.keyAndSalt.reveal().toString('base64')}`;
  const lines = [
    'v=0',
    'o=stub 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    `m=audio ${leg.rtpPort} ${protocol} ${payloadType} 101`,
    'a=rtpmap:101 telephone-event/8000',
    ...(suite === undefined ? [] : [cryptoLine]),
    'a=sendrecv',
    '',
  ];
  invite.reply('200 OK', { body: lines.join('\r\n') });
  return { leg, player };
}

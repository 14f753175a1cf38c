import { CallscribeError } from '../errors.ts';
import type { SrtpSuite } from '../rtp/srtp-key.ts';
import { Secret } from '../secret.ts';
import type { AnsweredCrypto } from './answer.ts';
import { LegProtection, newMasterKey } from './leg-protection.ts';
import type { LegSenderOptions } from './leg-sender.ts';

/** Which lines of a call are offered over SRTP. */
export interface CallSrtp {
  readonly suite: SrtpSuite;
  readonly lines: 'all' | 'all-but-first';
}

/** What we send a leg by. */
export interface LegKey {
  readonly suite: SrtpSuite;
  readonly keyAndSalt: Secret<Buffer>;
}

/** A key by chance; undefined for a plain line. */
export function keyOf(srtp: CallSrtp | undefined, legNo: number): LegKey | undefined {
  if (srtp === undefined || (srtp.lines === 'all-but-first' && legNo === 0)) return undefined;
  return { suite: srtp.suite, keyAndSalt: new Secret(newMasterKey()) };
}

/** @throws {CallscribeError} SIP_MALFORMED when the answer to a line over SRTP has no key of the same suite */
export function protectionOf(
  key: LegKey | undefined,
  answered: AnsweredCrypto | undefined,
): LegSenderOptions['srtp'] {
  if (key === undefined) return undefined;
  const { suite } = key;
  if (answered?.suite !== suite) {
    throw new CallscribeError(
      'SIP_MALFORMED',
      'answer: found no a=crypto line with the offered suite for a line over SRTP, expected one (RFC 4568 §5.1.2)',
    );
  }
  return {
    suite,
    own: new LegProtection(suite, key.keyAndSalt.reveal()),
    peer: new LegProtection(suite, answered.keyAndSalt.reveal()),
  };
}

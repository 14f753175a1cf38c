import type { LegRtcpOptions } from '../../src/rtp/leg-rtcp.ts';

/** For a leg whose reports do not matter to the test. */
export const TEST_RTCP: Omit<LegRtcpOptions, 'source'> = {
  ssrc: 0xfeed_beef,
  cname: 'abcdefghijklmnop',
  random: () => 0.5,
};

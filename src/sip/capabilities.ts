/** Methods that we answer with more than 405. */
export const ALLOW = 'INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK';
/** Extensions that we know (RFC 3261 §20.37). */
export const SUPPORTED = 'timer, 100rel, replaces';

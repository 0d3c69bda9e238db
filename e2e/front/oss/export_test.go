package oss

// CanonicalRequest is the text that is signed.
var CanonicalRequest = canonicalRequest

package api

import (
	"net/http"

	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

func (c *call) beginUpload() error {
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	var begin protocol.BeginUpload
	if err := protocol.DecodeRequest(b, &begin); err != nil {
		return err
	}
	if c.grant != nil {
		return c.beginLinked(begin)
	}
	once, err := c.once(b)
	if err != nil {
		return err
	}
	reply, err := c.srv.cfg.Uploads.Begin(c.ctx, c.caller.Owner, begin, once)
	if err != nil {
		return err
	}
	c.writeReply(reply, "/v1/uploads/")
	return nil
}

// probe answers what begins would say, and begins nothing.
func (c *call) probe() error {
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	var probe protocol.Probe
	if err := protocol.DecodeRequest(b, &probe); err != nil {
		return err
	}
	if probe.Items == nil {
		return protocol.Errorf(protocol.KindBadRequest, "a probe has items")
	}
	may, err := c.srv.cfg.Uploads.Probe(c.ctx, c.caller.Owner, probe.Items)
	if err != nil {
		return err
	}
	answer := protocol.Probed{Items: make([]protocol.ProbedItem, len(may))}
	for i := range may {
		answer.Items[i].Maybe = may[i]
	}
	c.writeJSON(http.StatusOK, answer)
	return nil
}

// writeReply answers a POST that made, or found, what lies at base and the uid.
func (c *call) writeReply(r once.Reply, base string) {
	c.http.Response.Header.Set("Location", base+r.UID.String())
	status := http.StatusOK
	if r.Created {
		status = http.StatusCreated
	}
	c.writeBody(status, r.Body)
}

func (c *call) putPart() error {
	xxh3, sum, err := c.hashes()
	if err != nil {
		return err
	}
	body := upload.Body{Reader: c.body, Length: c.body.want, XXH3: xxh3, SHA256: sum}
	var part protocol.Part
	if c.grant != nil {
		part, err = c.srv.cfg.Uploads.PutLinkedPart(c.ctx, c.linked(), c.number, body)
	} else {
		part, err = c.srv.cfg.Uploads.PutPart(c.ctx, c.caller.Owner, c.uid, c.number, body)
	}
	if err != nil {
		return c.toStranger(err)
	}
	c.writeJSON(http.StatusOK, part)
	return nil
}

func (c *call) commit() error {
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	var commit protocol.CommitUpload
	if len(b) > 0 {
		if err := protocol.DecodeRequest(b, &commit); err != nil {
			return err
		}
	}
	f, repeated, err := c.srv.cfg.Uploads.Commit(c.ctx, c.caller.Owner, c.uid, commit)
	if err != nil {
		return c.toStranger(err)
	}
	if repeated {
		c.http.Response.Header.Set(protocol.HeaderRepeated, "true")
	}
	c.writeJSON(http.StatusOK, c.shown(f))
	return nil
}

// claim is either round: which one, the fields say.
func (c *call) claim() error {
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	var claim protocol.Claim
	if err := protocol.DecodeRequest(b, &claim); err != nil {
		return err
	}
	switch {
	case claim.Digest != nil && claim.Nonce == nil && claim.Proof == nil:
		challenge, err := c.srv.cfg.Uploads.StartClaim(c.ctx, c.caller.Owner, c.uid, *claim.Digest, subject(c.caller))
		if err != nil {
			return err
		}
		c.writeJSON(http.StatusOK, challenge)
		return nil
	case claim.Digest == nil && claim.Nonce != nil && claim.Proof != nil:
		f, err := c.srv.cfg.Uploads.FinishClaim(c.ctx, c.caller.Owner, c.uid, *claim.Nonce, *claim.Proof, subject(c.caller))
		if err != nil {
			return err
		}
		c.writeJSON(http.StatusOK, f)
		return nil
	}
	return protocol.Errorf(protocol.KindBadRequest, "a claim has a digest alone, and then a nonce and a proof")
}

func (c *call) getUpload() error {
	u, err := c.srv.cfg.Uploads.Upload(c.ctx, c.caller.Owner, c.uid)
	if err != nil {
		return err
	}
	if c.grant != nil && u.File != nil {
		f := c.shown(*u.File)
		u.File, u.Name, u.Meta = &f, f.Name, nil
	}
	c.writeJSON(http.StatusOK, u)
	return nil
}

func (c *call) listUploads() error {
	limit, err := c.limit()
	if err != nil {
		return err
	}
	list, err := c.srv.cfg.Uploads.Uploads(c.ctx, c.caller.Owner, limit, c.query["cursor"])
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}

func (c *call) abortUpload() error {
	if err := c.srv.cfg.Uploads.Abort(c.ctx, c.caller.Owner, c.uid); err != nil {
		return err
	}
	c.writeNothing()
	return nil
}

// writeNothing answers that it is done and there is nothing to say.
func (c *call) writeNothing() {
	c.status = http.StatusNoContent
	c.http.SetStatusCode(http.StatusNoContent)
}

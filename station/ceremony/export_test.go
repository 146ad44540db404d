package ceremony

import "io"

// DrawFrom makes a plan draw key ids and serial numbers from random.
func (p *Plan) DrawFrom(random io.Reader) { p.random = random }

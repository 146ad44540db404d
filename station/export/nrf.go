package export

import "hallmark/station/workdir"

// nrfMost is the largest number of rows of one file.
const nrfMost = 1000

// nrfCloud has no header. The columns are device, subtype, tags, types of firmware, certificate. Only the first and the
// last are known here. The certificate begins with a hyphen, so these files are for the service and not for a spreadsheet.
var nrfCloud = &Format{Name: "nrf-cloud", Text: "directory: devices-00001.csv and so on for the bulk registration of nRF Cloud, 1,000 rows in a file", Folder: true, TLSOnly: true,
	list: &list{name: "devices-%05d.csv", most: nrfMost, item: func(_ Chain, r *Row) ([]byte, error) {
		id, err := r.deviceID()
		if err != nil {
			return nil, err
		}
		return csvLine([]string{id, "", "", "", string(workdir.CertificatePEM(r.DER))})
	}}}

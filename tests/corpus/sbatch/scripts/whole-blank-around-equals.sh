#!/bin/bash
#SBATCH --job-name = spaced
./run

#!/bin/bash
#SBATCH --job-name=oops
#SBATCH --time=12h
./run
